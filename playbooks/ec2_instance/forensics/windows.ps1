# Collects volatile evidence of this machine and uploads each file as soon as it is there (docs/forensics.md).
#
# The SSM document sets, before this script: $GdrPlanUrl (where the upload plan lies: a secret), $GdrTimeout,
# $GdrCaptureSeconds, $GdrCommands (base64 each), $GdrMemoryLocation, $GdrMemorySha256. Windows PowerShell 5.1.
# Reads only; writes only into a private directory that is removed at the end. Nothing here comes from a finding.
# Every section runs in a runspace of its own under a time limit; one that fails or hangs does not stop the others.
# Errors of web requests are never printed: they could name a URL.

$ErrorActionPreference = 'Continue'
$ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
[Net.ServicePointManager]::Expect100Continue = $false
$started = [DateTime]::UtcNow
$deadline = 60 # seconds after the start; the plan says it
$grace = 20    # further seconds for uploads
$captureMegabytes = 20
$plan = @{}
$capturing = $null
$dir = Join-Path $env:SystemRoot ('Temp\gdr-' + [Guid]::NewGuid().ToString('N'))

function Get-Left([int]$more = 0) {
    [Math]::Max(0, [int]($deadline + $more - ([DateTime]::UtcNow - $started).TotalSeconds))
}

function Test-Url([string]$url) {
    $url -cmatch '^(https://|http://127\.0\.0\.1:[0-9]+/)[A-Za-z0-9%&=._~+/:?@,-]+$'
}

function Get-Web([string]$url, [string]$file, [int]$seconds) {
    if (-not (Test-Url $url)) { return $false }
    try {
        Invoke-WebRequest -UseBasicParsing -Uri $url -OutFile $file -TimeoutSec $seconds
        return $true
    } catch { return $false }
}

# Part of a file, streamed: no second copy on disk or in memory. Prints the HTTP status, 0 without one.
function Send-Range([string]$url, [string]$file, [long]$offset, [long]$length, [int]$seconds, [bool]$once) {
    $stream = $null
    try {
        $stream = [IO.File]::Open($file, 'Open', 'Read', 'ReadWrite')
        $buffer = New-Object byte[] 1048576
        $md5 = [Security.Cryptography.MD5]::Create()
        foreach ($round in 'hash', 'send') {
            [void]$stream.Seek($offset, 'Begin')
            $rest = $length
            if ($round -eq 'send') {
                $request = [Net.HttpWebRequest][Net.WebRequest]::Create($url)
                $request.Method = 'PUT'
                $request.AllowWriteStreamBuffering = $false
                $request.ContentLength = $length
                $request.Timeout = $seconds * 1000
                $request.ReadWriteTimeout = $seconds * 1000
                # Buckets with Object Lock insist on it.
                $request.Headers.Add('Content-MD5', [Convert]::ToBase64String($md5.Hash))
                if ($once) { $request.Headers.Add('If-None-Match', '*') }
                $body = $request.GetRequestStream()
            }
            while ($rest -gt 0) {
                $read = $stream.Read($buffer, 0, [int][Math]::Min($rest, $buffer.Length))
                if ($read -le 0) { break }
                if ($round -eq 'send') { $body.Write($buffer, 0, $read) } else { [void]$md5.TransformBlock($buffer, 0, $read, $null, 0) }
                $rest -= $read
            }
            if ($round -eq 'hash') { [void]$md5.TransformFinalBlock($buffer, 0, 0) } else { $body.Close() }
        }
        $response = $request.GetResponse()
        $status = [int]$response.StatusCode
        $response.Close()
        return $status
    } catch {
        $inner = $_.Exception
        while ($inner -and -not ($inner -is [Net.WebException])) { $inner = $inner.InnerException }
        if ($inner -and $inner.Response) { return [int]$inner.Response.StatusCode }
        return 0
    } finally { if ($stream) { $stream.Close() } }
}

function Send-File([string]$url, [string]$file, [long]$offset, [long]$length, [bool]$once) {
    if (-not (Test-Url $url)) { return $false }
    foreach ($try in 1, 2) {
        $room = Get-Left $grace
        if ($room -lt 2) { return $false }
        $status = Send-Range $url $file $offset $length $room $once
        # 412: it is there; the answer to the first try was lost, or somebody came first (the hash tells)
        if (($status -ge 200 -and $status -lt 300) -or $status -eq 412) { return $true }
        if ($status -eq 403 -or $status -eq 404) { return $false }
    }
    return $false
}

function Add-Entry([string]$name, [long]$bytes, [string]$sha256, [int]$parts, [string]$state) {
    $line = "$name`t$bytes`t$sha256`t$parts`t$state`n"
    [IO.File]::AppendAllText((Join-Path $dir 'index.tsv'), $line, (New-Object Text.UTF8Encoding $false))
    Write-Output "${name}: $state, $bytes bytes"
}

function Get-Sha256([string]$file) {
    try { (Get-FileHash -Algorithm SHA256 -LiteralPath $file -ErrorAction Stop).Hash.ToLowerInvariant() } catch { '-' }
}

function Send-Section([string]$name, [string]$state) {
    $file = Join-Path $dir $name
    if (-not (Test-Path -LiteralPath $file) -or (Get-Item -LiteralPath $file).Length -eq 0) {
        Add-Entry $name 0 '-' 0 $state
        return
    }
    # A copy: a section that was left behind may still write.
    Copy-Item -LiteralPath $file -Destination "$file.copy"
    $bytes = (Get-Item -LiteralPath "$file.copy").Length
    $sha256 = Get-Sha256 "$file.copy"
    if (Send-File $plan["$name 0"] "$file.copy" 0 $bytes $true) { Add-Entry $name $bytes $sha256 1 $state }
    else { Add-Entry $name $bytes $sha256 0 'lost' }
    Remove-Item -LiteralPath $file, "$file.copy" -Force -ErrorAction SilentlyContinue
}

$common = @'
param($path)
$ErrorActionPreference = 'Continue'
$ProgressPreference = 'SilentlyContinue'
function Show([string]$title, [scriptblock]$what) {
    "`r`n### $title" | Out-File -LiteralPath $path -Append -Encoding utf8
    try { & $what 2>&1 | Out-File -LiteralPath $path -Append -Encoding utf8 -Width 4096 }
    catch { "# failed: $($_.Exception.Message)" | Out-File -LiteralPath $path -Append -Encoding utf8 }
}
'@

function Invoke-Section([string]$name, [int]$limit, [scriptblock]$what) {
    # Never more than half of what is left: a machine where everything hangs still gives a little of everything.
    $limit = [Math]::Min($limit, [int][Math]::Floor((Get-Left) / 2))
    if ($limit -lt 1) {
        Add-Entry $name 0 '-' 0 'skipped'
        return
    }
    $state = 'ok'
    try {
        $shell = [PowerShell]::Create()
        [void]$shell.AddScript($common + $what.ToString()).AddArgument((Join-Path $dir $name))
        $running = $shell.BeginInvoke()
        if (-not $running.AsyncWaitHandle.WaitOne($limit * 1000)) {
            $state = 'cut'
            [void]$shell.BeginStop($null, $null) # what the kernel does not let go is left behind, not waited for
        } elseif ($shell.InvocationStateInfo.State -eq 'Failed') { $state = 'failed' }
    } catch { $state = 'failed' }
    Send-Section $name $state
}

$processes = {
    Show 'time' { [DateTime]::UtcNow.ToString('o') }
    Show 'system' { Get-CimInstance Win32_OperatingSystem | Format-List Caption, Version, LastBootUpTime, LocalDateTime, CSName }
    Show 'processes' {
        Get-CimInstance Win32_Process | Sort-Object CreationDate |
            Format-List ProcessId, ParentProcessId, SessionId, CreationDate, Name, ExecutablePath, CommandLine
    }
    Show 'processes whose executable is gone' {
        Get-CimInstance Win32_Process | Where-Object { $_.ExecutablePath -and -not (Test-Path -LiteralPath $_.ExecutablePath) } |
            Format-List ProcessId, Name, ExecutablePath, CommandLine
    }
    Show 'services of processes' { tasklist.exe /svc /fo csv }
    Show 'SHA-256 of executables' {
        Get-CimInstance Win32_Process | Where-Object ExecutablePath | Select-Object -ExpandProperty ExecutablePath -Unique |
            ForEach-Object { Get-FileHash -Algorithm SHA256 -LiteralPath $_ } | Format-Table Hash, Path -AutoSize
    }
    Show 'loaded libraries' { tasklist.exe /m /fo csv }
    Show 'open files (only where the system keeps a list)' { openfiles.exe /query /v /fo csv }
}

$network = {
    Show 'TCP' {
        Get-NetTCPConnection | Format-Table OwningProcess, State, LocalAddress, LocalPort, RemoteAddress, RemotePort, CreationTime -AutoSize
    }
    Show 'UDP' { Get-NetUDPEndpoint | Format-Table OwningProcess, LocalAddress, LocalPort, CreationTime -AutoSize }
    Show 'netstat' { netstat.exe -ano }
    Show 'addresses' { ipconfig.exe /all }
    Show 'routes' { route.exe print }
    Show 'neighbours' { Get-NetNeighbor | Format-Table ifIndex, IPAddress, LinkLayerAddress, State -AutoSize }
    Show 'name servers' { Get-DnsClientServerAddress | Format-Table InterfaceAlias, AddressFamily, ServerAddresses -AutoSize }
    Show 'resolver cache' { Get-DnsClientCache | Format-Table Entry, RecordType, Status, TimeToLive, Data -AutoSize }
    Show 'hosts' { Get-Content -LiteralPath "$env:SystemRoot\System32\drivers\etc\hosts" }
    Show 'firewall' { netsh.exe advfirewall show allprofiles }
    Show 'port proxies' { netsh.exe interface portproxy show all }
    Show 'shares and sessions' { Get-SmbShare; Get-SmbSession; Get-SmbConnection }
}

$users = {
    Show 'local users' { Get-LocalUser | Format-List Name, SID, Enabled, LastLogon, PasswordLastSet, Description }
    Show 'administrators' { Get-LocalGroupMember -SID 'S-1-5-32-544' | Format-Table Name, SID, PrincipalSource -AutoSize }
    Show 'remote desktop users' { Get-LocalGroupMember -SID 'S-1-5-32-555' | Format-Table Name, SID, PrincipalSource -AutoSize }
    Show 'logged on' { quser.exe }
    Show 'logon sessions' { Get-CimInstance Win32_LogonSession | Format-Table LogonId, LogonType, StartTime, AuthenticationPackage -AutoSize }
    Show 'who they are' { Get-CimInstance Win32_LoggedOnUser | Format-List Antecedent, Dependent }
    Show 'SSH keys' {
        $files = @(Get-Item -Path "$env:SystemDrive\Users\*\.ssh\authorized_keys", "$env:ProgramData\ssh\administrators_authorized_keys" -Force)
        foreach ($file in $files) { "# $($file.FullName)"; Get-Content -LiteralPath $file.FullName -TotalCount 500 }
    }
}

$modules = {
    Show 'drivers' { driverquery.exe /v /fo csv }
    Show 'driver files' { Get-CimInstance Win32_SystemDriver | Format-List Name, State, StartMode, PathName }
    Show 'filter drivers' { fltmc.exe filters }
}

$jobs = {
    Show 'services' { Get-CimInstance Win32_Service | Format-List Name, State, StartMode, StartName, ProcessId, PathName }
    Show 'scheduled tasks' { schtasks.exe /query /v /fo csv }
    Show 'run keys' {
        foreach ($hive in 'HKEY_LOCAL_MACHINE', 'HKEY_USERS\*') {
            foreach ($key in 'Run', 'RunOnce', 'RunServices', 'Policies\Explorer\Run') {
                foreach ($software in 'SOFTWARE', 'SOFTWARE\WOW6432Node') {
                    Get-ItemProperty -Path "Registry::$hive\$software\Microsoft\Windows\CurrentVersion\$key" -ErrorAction SilentlyContinue |
                        Select-Object * -ExcludeProperty PSProvider, PSDrive, PSChildName, PSParentPath | Format-List
                }
            }
        }
    }
    Show 'logon programs' {
        Get-ItemProperty -Path 'Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon' | Format-List Shell, Userinit
    }
    Show 'startup folders' {
        Get-ChildItem -Force -Path "$env:ProgramData\Microsoft\Windows\Start Menu\Programs\Startup",
            "$env:SystemDrive\Users\*\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup" | Format-Table LastWriteTime, Length, FullName -AutoSize
    }
    Show 'WMI subscriptions' {
        foreach ($class in '__EventFilter', '__EventConsumer', '__FilterToConsumerBinding') {
            Get-CimInstance -Namespace root\subscription -ClassName $class | Format-List *
        }
    }
}

# Starts a program and ends it with its children after the limit. Prints whether it ended by itself.
function Invoke-Program([string]$program, [string[]]$arguments, [int]$limit, [string]$output) {
    $process = Start-Process -FilePath $program -ArgumentList $arguments -PassThru -WindowStyle Hidden -RedirectStandardOutput $output -RedirectStandardError "$output.err"
    if ($process.WaitForExit($limit * 1000)) { return $true }
    taskkill.exe /PID $process.Id /T /F 2>&1 | Out-Null
    return $false
}

function Invoke-Commands {
    $file = Join-Path $dir 'commands.txt'
    $state = 'ok'
    $count = 0
    foreach ($encoded in $GdrCommands) {
        $count += 1
        $limit = [Math]::Min(60, (Get-Left))
        if ($limit -lt 1) { $state = 'cut'; break }
        try {
            $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($encoded))
            $script = Join-Path $dir "command-$count.ps1"
            [IO.File]::WriteAllText($script, $text, (New-Object Text.UTF8Encoding $true)) # 5.1 reads UTF-8 by its mark
            "`r`n## command $count`r`n$text`r`n" | Out-File -LiteralPath $file -Append -Encoding utf8
            $arguments = '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', "`"$script`""
            $ended = Invoke-Program "$PSHOME\powershell.exe" $arguments $limit "$script.out"
            Get-Content -LiteralPath "$script.out", "$script.out.err" | Out-File -LiteralPath $file -Append -Encoding utf8 -Width 4096
            if (-not $ended) { "# ended after $limit s" | Out-File -LiteralPath $file -Append -Encoding utf8 }
        } catch { "# failed: $($_.Exception.Message)" | Out-File -LiteralPath $file -Append -Encoding utf8 }
    }
    Send-Section 'commands.txt' $state
}

function Start-Capture {
    if ($GdrCaptureSeconds -le 0) { return }
    if (-not (Get-Command netsh.exe -ErrorAction SilentlyContinue)) { $script:capturing = 'absent'; return }
    $file = Join-Path $dir 'capture.etl'
    netsh.exe trace start capture=yes report=disabled correlation=disabled overwrite=yes maxsize=$captureMegabytes tracefile="$file" 2>&1 | Out-Null
    $script:capturing = if ($LASTEXITCODE -eq 0) { 'running' } else { 'failed' } # a trace of somebody else's runs already
}

function Stop-Capture {
    if (-not $capturing) { return }
    $state = $capturing
    if ($capturing -eq 'running') {
        $wait = [int]($GdrCaptureSeconds - ([DateTime]::UtcNow - $started).TotalSeconds)
        $wait = [Math]::Min($wait, (Get-Left) - 10) # ending a trace takes seconds
        if ($wait -gt 0) { Start-Sleep -Seconds $wait }
        netsh.exe trace stop 2>&1 | Out-Null
        $state = if ($LASTEXITCODE -eq 0) { 'ok' } else { 'failed' }
    }
    $script:capturing = $null
    Send-Section 'capture.etl' $state
}

function Invoke-Memory {
    $name = 'memory.raw'
    $file = Join-Path $dir $name
    $tool = Join-Path $dir 'tool.exe'
    $url = if ($plan['@tool 0']) { $plan['@tool 0'] } else { $GdrMemoryLocation }
    $needed = (Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory * 1.1
    $free = (New-Object IO.DriveInfo ([IO.Path]::GetPathRoot($dir))).AvailableFreeSpace
    if ((Get-Left) -lt 5) { Add-Entry $name 0 '-' 0 'skipped'; return }
    if ($free -lt $needed) { Write-Output "memory: $needed bytes needed, $free free"; Add-Entry $name 0 '-' 0 'failed'; return }
    if (-not (Get-Web $url $tool (Get-Left))) { Write-Output 'memory: the tool could not be downloaded'; Add-Entry $name 0 '-' 0 'failed'; return }
    if ((Get-Sha256 $tool) -ne $GdrMemorySha256) {
        Remove-Item -LiteralPath $tool -Force
        Write-Output "memory: the tool's SHA-256 is not the one configured; it was not run"
        Add-Entry $name 0 '-' 0 'failed'
        return
    }
    $ended = Invoke-Program $tool @("`"$file`"") (Get-Left) (Join-Path $dir 'tool.out')
    Remove-Item -LiteralPath $tool -Force -ErrorAction SilentlyContinue
    if (-not (Test-Path -LiteralPath $file)) { Add-Entry $name 0 '-' 0 'failed'; return }
    $state = if ($ended) { 'ok' } else { 'cut' }
    $bytes = (Get-Item -LiteralPath $file).Length
    [long]$size = if ($plan['@part_bytes 0'] -match '^[0-9]{1,12}$') { $plan['@part_bytes 0'] } else { 67108864 }
    $part = 1
    for ([long]$offset = 0; $offset -lt $bytes; $offset += $size) {
        if (-not (Send-File $plan["$name $part"] $file $offset ([Math]::Min($size, $bytes - $offset)) $false)) { $state = 'lost'; break }
        $part += 1
    }
    Add-Entry $name $bytes (Get-Sha256 $file) ($part - 1) $state
}

# -- in this order: what changes fastest first, what takes longest last

try {
    [void](New-Item -ItemType Directory -Path $dir -ErrorAction Stop)
    icacls.exe $dir /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' 2>&1 | Out-Null
    if (-not (Get-Web $GdrPlanUrl (Join-Path $dir 'plan.txt') 20)) {
        Write-Output 'the upload plan could not be read: nothing collected'
        exit 1
    }
    foreach ($line in [IO.File]::ReadAllLines((Join-Path $dir 'plan.txt'))) {
        $fields = $line.Split("`t")
        if ($fields.Length -eq 3) { $plan["$($fields[0]) $($fields[1])"] = $fields[2] }
    }
    if ($plan['@deadline 0'] -match '^[0-9]{1,6}$') { $deadline = [int]$plan['@deadline 0'] }
    $deadline = [Math]::Min($deadline, [int]$GdrTimeout)
    Start-Capture
    Invoke-Section 'processes.txt' 60 $processes
    Invoke-Section 'network.txt' 30 $network
    Invoke-Section 'users.txt' 30 $users
    Invoke-Section 'modules.txt' 20 $modules
    Invoke-Section 'jobs.txt' 60 $jobs
    Stop-Capture
    if ($GdrCommands.Count -gt 0) { Invoke-Commands }
    if ($GdrMemorySha256) { Invoke-Memory }
    $index = Join-Path $dir 'index.tsv'
    if (-not (Send-File $plan['index.tsv 0'] $index 0 (Get-Item -LiteralPath $index).Length $true)) {
        Write-Output 'the index could not be uploaded'
        exit 1
    }
} finally {
    if ($capturing -eq 'running') { netsh.exe trace stop 2>&1 | Out-Null }
    Remove-Item -LiteralPath $dir -Recurse -Force -ErrorAction SilentlyContinue
}
exit 0
