#!/usr/bin/env python3
"""Drives the window through all its screens, as a user with a keyboard.

drive/screens.py [FOLDER] [--dark]: with a folder, it keeps a picture of every screen there. The
window runs on an X server without a screen (Xvfb), in a desktop session of its own: a bus, a home,
and GNOME Keyring. It needs Xvfb, xdotool, ImageMagick, zbarimg, dbus-daemon, gnome-keyring-daemon
and Mesa, and the program, which `cargo build` makes; scripts/vault installs the rest.
"""

import base64
import hmac
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

started = []
WAIT_SECONDS = 30
KEYRING_PASSWORD = b"password of the session"
ADA = "lantern over wet slate"
BOB = "seven geese at noon"


def start(*command, **options):
    process = subprocess.Popen([str(word) for word in command], **options)
    started.append(process)
    return process


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True, **options).stdout


class Desktop:
    """An X server, a bus, and a keyring."""

    def __init__(self, home):
        self.home = home
        server = start("Xvfb", "-displayfd", "1", "-screen", "0", "760x640x24", "-nolisten", "tcp",
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        display = server.stdout.readline().strip()
        self.env = dict(os.environ, HOME=str(home), XDG_DATA_HOME=str(home / "data"),
                        XDG_RUNTIME_DIR=str(home), DISPLAY=f":{display}", LIBGL_ALWAYS_SOFTWARE="1",
                        LC_ALL="C.UTF-8", NO_AT_BRIDGE="1")
        for name in ["WAYLAND_DISPLAY", "XDG_CONFIG_HOME"]:
            self.env.pop(name, None)
        bus = start("dbus-daemon", "--session", "--nofork", "--print-address", env=self.env,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
        self.keyring = None

    def start_keyring(self, unlocked=True):
        if self.keyring:
            self.keyring.kill()
            self.keyring.wait()
        unlock = ["--unlock"] if unlocked else []
        self.keyring = start("gnome-keyring-daemon", "--foreground", "--components=secrets",
                             *unlock, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        self.keyring.stdin.write(KEYRING_PASSWORD)
        self.keyring.stdin.close()
        until(lambda: "true" in run("dbus-send", "--session", "--print-reply",
                                    "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus",
                                    "org.freedesktop.DBus.NameHasOwner",
                                    "string:org.freedesktop.secrets", env=self.env),
              "the keyring to answer")


class Window:
    """The program, its keyboard, and its pictures."""

    def __init__(self, desktop, program, pictures, theme):
        self.desktop, self.program, self.pictures, self.theme = desktop, program, pictures, theme
        self.process = self.id = None
        self.number = 0

    def start(self, *arguments):
        self.process = start(self.program, f"--{self.theme}", *arguments, env=self.desktop.env)
        self.id = None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def xdotool(self, *words):
        return run("xdotool", *words, env=self.desktop.env)

    def find(self):
        search = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "^Till"],
                                env=self.desktop.env, capture_output=True, text=True)
        return search.stdout.split()[0] if search.stdout.strip() else None

    def title(self):
        if self.process.poll() is not None:
            sys.exit(f"the program has ended: {self.process.returncode}")
        if not self.id:
            self.id = self.find()
            if not self.id:
                return ""
            self.xdotool("windowfocus", "--sync", self.id)
        name = self.xdotool("getwindowname", self.id).strip()
        return name.removeprefix("Till – ")

    def expect(self, title, picture=None):
        """Waits for that screen, and keeps a picture of it."""
        until(lambda: self.title() == title, f"the screen {title}", self.title)
        # Two frames: the title is set with the first one.
        time.sleep(0.8)
        print(f"  {title}" + (f": {picture}" if picture else ""), flush=True)
        return self.picture(picture) if picture else None

    def picture(self, name):
        self.number += 1
        folder = self.pictures or self.desktop.home
        file = folder / f"{self.theme}-{self.number:02}-{name}.png"
        run("import", "-window", "root", file, env=self.desktop.env)
        return file

    def type(self, *fields):
        """Types into the field in focus and those after it, and presses enter in the last."""
        for number, text in enumerate(fields):
            if number:
                self.press("Tab")
            self.xdotool("type", "--delay", "12", text)
        self.press("Return")

    def press(self, *keys):
        for key in keys:
            self.xdotool("key", key)
            time.sleep(0.06)

    def button(self, number):
        """Presses the button at that place in the order of the tab key, from nothing in focus."""
        self.press(*["Tab"] * number, "space")


def until(is_so, what, found=lambda: ""):
    end = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"waited {WAIT_SECONDS} s for {what}; found {found()!r}")
        time.sleep(0.05)


def settle():
    """A refusal stays on its screen: the time of a hash, and a frame."""
    time.sleep(4)


def code(secret, steps=0):
    """What an authenticator shows so many steps of 30 s from now (RFC 6238)."""
    padded = secret + "=" * (-len(secret) % 8)
    step = int(time.time()) // 30 + steps
    mac = hmac.digest(base64.b32decode(padded), step.to_bytes(8, "big"), "sha1")
    at = mac[19] & 15
    number = int.from_bytes(mac[at:at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def scan(picture):
    """The secret in the QR code of a picture, read as a telephone does."""
    text = run("zbarimg", "--quiet", "--raw", picture).strip()
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(text).query)
    assert text.startswith("otpauth://totp/"), text
    return query["secret"][0]


def drive(window, desktop):
    desktop.start_keyring()
    first_start(window)
    people(window)
    lock(window)
    secret = second_factor(window)
    sessions(window)
    with_code(window, secret)
    switch_user(window)
    starts(window)
    without_keyring(window, desktop)


def first_start(window):
    window.start()
    window.expect("First start", "first-start")
    window.type("ada", "password", "password")
    settle()
    window.picture("first-start-refused")
    window.kill()
    window.start()
    window.expect("First start")
    window.type("ada", ADA, ADA)
    window.expect("Home", "home-of-the-administrator")


def people(window):
    window.button(6)
    window.expect("People", "people")
    window.type("bob", "a password to begin with")
    settle()
    window.picture("people-added")
    window.press("Tab", "Tab", "Tab", "space")
    window.expect("Home")


def lock(window):
    window.button(1)
    window.expect("Locked", "locked")
    window.type("eight geese at noon")
    settle()
    window.picture("locked-refused")
    window.type(ADA)
    window.expect("Home")


def second_factor(window):
    window.button(5)
    secret = scan(window.expect("Second factor", "second-factor"))
    window.type("000000", "111111")
    settle()
    window.picture("second-factor-refused")
    window.type(code(secret, -1), code(secret))
    window.expect("Recovery codes", "recovery-codes")
    window.button(1)
    window.expect("Home", "home-with-a-second-factor")
    return secret


def sessions(window):
    window.button(4)
    window.expect("My sessions", "sessions")
    window.button(1)
    window.expect("Home")


def with_code(window, secret):
    window.button(3)
    window.expect("Sign in", "signed-out")
    window.type("ada", "eight geese at noon")
    settle()
    window.picture("sign-in-refused")
    window.type(ADA)
    window.expect("Code", "code")
    window.type("000000")
    settle()
    window.picture("code-refused")
    # Each code counts once, so that of the next 30 s.
    time.sleep(31)
    window.type(code(secret))
    window.expect("Home")
    window.button(1)
    window.expect("Locked", "locked-by-code")


def switch_user(window):
    """From the lock of one user to another, who has to change the first password."""
    window.press("Tab", "Tab", "space")
    window.expect("Sign in", "switch-user")
    window.type("bob", "a password to begin with")
    window.expect("New password", "new-password")
    window.type(BOB, "another one")
    settle()
    window.picture("new-password-refused")
    window.type(BOB, BOB)
    window.expect("Home", "home-of-bob")


def starts(window):
    """A start asks for the password, unless the user stays signed in; then it locks by idleness."""
    window.kill()
    window.start()
    window.expect("Sign in", "start")
    window.xdotool("type", "bob")
    window.press("Tab")
    window.xdotool("type", BOB)
    window.press("Tab", "space", "Tab", "space")
    window.expect("Home", "home-saved-in-the-keyring")
    window.kill()
    window.start("--lock-after", "10")
    window.expect("Home")
    window.expect("Locked")
    window.type(BOB)
    window.expect("Home")


def without_keyring(window, desktop):
    """A locked keyring is a screen of its own, and the token in it is there afterwards."""
    window.kill()
    desktop.start_keyring(unlocked=False)
    window.start()
    window.expect("Trouble", "keyring-locked")
    window.button(2)
    window.expect("Sign in", "for-this-run-only")
    window.kill()
    window.start()
    window.expect("Trouble")
    window.button(1)
    search = ["xdotool", "search", "--onlyvisible", "--class", "gcr-prompter"]
    prompt = lambda: subprocess.run(search, env=desktop.env, capture_output=True,
                                    text=True).stdout.split()
    until(prompt, "the prompt of the keyring")
    settle()
    window.picture("keyring-asks")
    window.xdotool("windowfocus", prompt()[-1])
    window.type(KEYRING_PASSWORD.decode())
    window.expect("Home", "home-after-the-keyring")


def main():
    words = sys.argv[1:]
    theme = "dark" if "--dark" in words else "light"
    folders = [Path(word).resolve() for word in words if not word.startswith("--")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[3] / "target"))
    program = target / os.environ.get("PROFILE", "debug") / "gatepost-example-desktop"
    with tempfile.TemporaryDirectory() as home:
        try:
            desktop = Desktop(Path(home))
            window = Window(desktop, program, folders[0] if folders else None, theme)
            drive(window, desktop)
        finally:
            for process in reversed(started):
                process.kill()
                process.wait()
    print(f"{theme}: all screens")


if __name__ == "__main__":
    main()
