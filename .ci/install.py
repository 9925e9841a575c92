"""Install by uv what `pip install` would, in a fifth of its processor time; by pip itself where uv cannot.

Arguments are those of `pip install`, and the environment is that of the Python which runs this. uv does not read
where pip is told to look for packages: what is known here is handed on to it, and other settings are pip's to follow.
"""

import ast
import os
import re
import subprocess
import sys

PIP = [sys.executable, "-m", "pip"]
HANDED_ON = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "cert": ("SSL_CERT_FILE", " "),
}
"""Setting of pip: the variable of uv, and what stands between several values."""
WITHOUT_EFFECT = {"disable-pip-version-check", "default-timeout", "timeout", "retries", "quiet"}
"""Settings that change nothing of what is installed."""
SECTIONS = ("global", "install", ":env:")
"""Those that `pip install` reads; the later wins."""


def variables(listing: str) -> dict[str, str]:
    """Return uv's environment for what `pip config list` prints; ValueError names a setting that is pip's alone."""
    settings = {}
    found = re.findall(r"^([\w:-]+)\.([\w-]+)=(.*)$", listing, re.MULTILINE)
    for section in SECTIONS:
        settings |= {name: value for where, name, value in found if where == section}
    handed_on = {}
    for name, value in settings.items():
        if name in HANDED_ON:
            variable, between = HANDED_ON[name]
            handed_on[variable] = between.join(str(ast.literal_eval(value)).split())
        elif name not in WITHOUT_EFFECT:
            raise ValueError(f"pip's setting {name} is not known to uv")
    return handed_on


def by_uv(arguments: list[str]) -> None:
    """Install uv by pip, and what is asked for by uv."""
    listing = subprocess.run([*PIP, "config", "list"], check=True, text=True, stdout=-1).stdout
    environment = os.environ | variables(listing)  # noqa: TID251 -- no part of the package
    subprocess.run([*PIP, "install", "--quiet", "--no-compile", "uv"], check=True)
    # Like pip, take the best version that any index has.
    uv = [
        sys.executable,
        "-m",
        "uv",
        "--no-cache",
        "pip",
        "install",
        "--python",
        sys.executable,
    ]
    more = ["--index-strategy", "unsafe-best-match"]
    subprocess.run([*uv, *more, *arguments], check=True, env=environment)


def main(arguments: list[str]) -> int:
    """Install; return the exit code of what installed last."""
    try:
        by_uv(arguments)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"pip installs instead of uv: {error}", file=sys.stderr)
        return subprocess.run([*PIP, "install", *arguments], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
