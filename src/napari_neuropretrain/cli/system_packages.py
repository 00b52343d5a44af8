"""Install, or name, the system packages that the plugin and its tests need on Linux.

Run as a script before the tests: on Debian and Ubuntu as root the missing ones are
installed; elsewhere the exact line to type is printed, and the tests in a real
viewer skip and say so. It needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys

# Debian package by the library or program that shows it is there.
LIBRARIES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "glib-2.0": "libglib2.0-0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-shape": "libxcb-shape0",
}
PROGRAMS_FOR_TESTS = {"Xvfb": "xvfb", "xauth": "xauth"}
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"]


def missing_packages(for_tests: bool = True) -> list[str]:
    """Name the Debian packages that are not there; empty off Linux."""
    if not sys.platform.startswith("linux"):
        return []
    libraries = [p for name, p in LIBRARIES.items() if not _has_library(name)]
    if not for_tests:
        return libraries
    programs = [
        p for name, p in PROGRAMS_FOR_TESTS.items() if shutil.which(name) is None
    ]
    return programs + libraries


def install_line(packages: list[str]) -> str:
    """Return the line that installs `packages` on Debian and Ubuntu."""
    return " ".join(["sudo", *INSTALL, *packages])


def _has_library(name: str) -> bool:
    if ctypes.util.find_library(name) is not None:
        return True
    # find_library needs gcc or ldconfig, which small containers lack.
    for suffix in range(7):
        try:
            ctypes.CDLL(f"lib{name}.so.{suffix}")
        except OSError:
            continue
        return True
    return False


def main() -> None:
    """Install what is missing, or print how to."""
    if "--print" in sys.argv:
        print(*INSTALL, *PROGRAMS_FOR_TESTS.values(), *LIBRARIES.values())
        return
    missing = missing_packages()
    if not missing:
        return
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and shutil.which("apt-get"):
        print(f"Installing system packages for the plugin tests: {missing}", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        subprocess.run([*INSTALL, *missing], env=environment, check=False)
    missing = missing_packages()
    if missing:
        print(
            "The tests in a real viewer will be skipped: system packages are "
            f"missing. Type:\n\n    {install_line(missing)}\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
