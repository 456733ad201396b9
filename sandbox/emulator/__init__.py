"""The emulators behind the sandbox's one endpoint, and the patches that make them answer as AWS
does.

Every patch names the AWS behaviour it restores (``patching.PATCHES``) and is pinned to the exact
releases in ``patching.PINS``: private functions move between releases, so another version is
refused at start.
"""
