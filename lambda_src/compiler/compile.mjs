// Reads {name: source in base64} from standard input, and writes {name: bytecode in base64}.
import { text } from "node:stream/consumers";
import { loadPyodide } from "pyodide";

const given = await text(process.stdin);
const python = await loadPyodide({
  env: { PYTHONNODEBUGRANGES: "1" },
  stdout: console.error,
});
python.globals.set("given", given);
const answer = python.runPython(`
import base64, json, pathlib, py_compile

def bytecode(name, source):
    pathlib.Path("source.py").write_bytes(base64.b64decode(source))
    py_compile.compile(
        "source.py",
        cfile="source.pyc",
        dfile=f"/var/task/{name}",
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
    )
    return base64.b64encode(pathlib.Path("source.pyc").read_bytes()).decode()

json.dumps({name: bytecode(name, source) for name, source in json.loads(given).items()})
`);
process.stdout.write(answer);
