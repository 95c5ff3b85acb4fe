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
import select
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

started = []
WAIT_SECONDS = 60
SERVER_SECONDS = 20
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


def start_server():
    """Starts an X server, and returns the number of its display once it takes connections."""
    for _ in range(3):
        # Without a reset, which drops the connections that come as the last client goes.
        server = start("Xvfb", "-displayfd", "1", "-noreset", "-screen", "0", "760x640x24",
                       "-nolisten", "tcp", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True)
        if select.select([server.stdout], [], [], SERVER_SECONDS)[0]:
            # Nothing, of a server that has ended: another one took its display.
            if display := server.stdout.readline().strip():
                return display
        server.kill()
        server.wait()
    sys.exit("no X server starts")


class Desktop:
    """An X server, a bus, and a keyring."""

    def __init__(self, home):
        self.home = home
        display = start_server()
        self.env = dict(os.environ, HOME=str(home), XDG_DATA_HOME=str(home / "data"),
                        XDG_RUNTIME_DIR=str(home), DISPLAY=f":{display}", LIBGL_ALWAYS_SOFTWARE="1",
                        LC_ALL="C.UTF-8", NO_AT_BRIDGE="1")
        for name in ["WAYLAND_DISPLAY", "XDG_CONFIG_HOME", "GNOME_KEYRING_CONTROL"]:
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
                             *unlock, env=self.env, stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
        self.state = desktop.home / "state"
        self.process = None
        self.keys = self.actions = self.number = 0
        self.problem = ""

    def start(self, *arguments):
        self.state.unlink(missing_ok=True)
        self.process = start(self.program, f"--{self.theme}", "--state", self.state, *arguments,
                             env=self.desktop.env)
        self.keys = self.actions = 0
        until(self.focus, "the window")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def xdotool(self, *words):
        return run("xdotool", *words, env=self.desktop.env)

    def find(self, *which):
        search = subprocess.run(["xdotool", "search", "--onlyvisible", *which],
                                env=self.desktop.env, capture_output=True, text=True)
        return search.stdout.split()

    def focus(self):
        found = self.find("--name", "^Till")
        if found:
            self.xdotool("windowfocus", "--sync", found[0])
        return bool(found)

    def reported(self):
        """How many keys arrived, how many actions are done, and the title of the screen."""
        if self.process.poll() is not None:
            sys.exit(f"the program has ended: {self.process.returncode}")
        if not self.state.exists():
            return -1, -1, ""
        state, _, self.problem = self.state.read_text().partition("\n")
        keys, actions, title = state.split(" ", 2)
        return int(keys), int(actions), title

    def expect(self, title, picture=None):
        """Waits until what was done leads to that screen, and keeps a picture of it."""
        until(lambda: self.reported() == (self.keys, self.actions, title),
              f"the screen {title} after {self.actions} actions", self.reported)
        print(f"  {title}" + (f": {picture}" if picture else ""), flush=True)
        return self.picture(picture) if picture else None

    def says(self, sentence):
        """The screen that was expected last says this."""
        if sentence not in self.problem:
            sys.exit(f"the screen says {self.problem!r} and not {sentence!r}")

    def picture(self, name):
        self.number += 1
        folder = self.pictures or self.desktop.home
        file = folder / f"{self.theme}-{self.number:02}-{name}.png"
        run("import", "-window", "root", file, env=self.desktop.env)
        return file

    def type(self, *fields):
        """Types into the field in focus and those after it, and presses enter in the last."""
        self.fill(*fields)
        self.act("Return")

    def fill(self, *fields):
        for number, text in enumerate(fields):
            if number:
                self.press("Tab")
            self.xdotool("type", "--delay", "12", text)
            self.keys += text.count(" ")

    def press(self, *keys):
        """Presses tab or space, each in a frame of its own."""
        for key in keys:
            self.xdotool("key", key)
            self.keys += 1
            until(lambda: self.reported()[0] == self.keys, f"the key {key}", self.reported)

    def act(self, key):
        """Presses the key that starts an action."""
        self.xdotool("key", key)
        self.keys += key == "space"
        self.actions += 1

    def button(self, number):
        """Presses the button at that place in the order of the tab key, from nothing in focus."""
        self.press(*["Tab"] * number)
        self.act("space")


def until(is_so, what, found=lambda: ""):
    end = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"waited {WAIT_SECONDS} s for {what}; found {found()!r}")
        time.sleep(0.05)


def code(secret, steps=0):
    """What an authenticator shows so many steps of 30 s from now (RFC 6238)."""
    padded = secret + "=" * (-len(secret) % 8)
    counter = (step() + steps).to_bytes(8, "big")
    mac = hmac.digest(base64.b32decode(padded), counter, "sha1")
    at = mac[19] & 15
    number = int.from_bytes(mac[at:at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def step():
    return int(time.time()) // 30


def two_codes(secret):
    """The last code and this one, early enough in a step of 30 s to be read in it."""
    while time.time() % 30 > 22:
        time.sleep(0.5)
    two_codes.at = step()
    return code(secret, -1), code(secret)


def unused_code(secret):
    """A code counts once, and so does each one before it."""
    while step() == two_codes.at:
        time.sleep(0.5)
    two_codes.at = step()
    return code(secret)


def change(desktop, statement):
    """Changes the file of the store, as another program does."""
    file = sqlite3.connect(next(desktop.home.rglob("auth.db")), timeout=10)
    with file:
        file.execute(statement)
    file.close()


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
    switch_user(window)
    starts(window)
    without_keyring(window, desktop)
    with_code(window, secret)
    new_password_and_code(window, desktop, secret)


def first_start(window):
    window.start()
    window.expect("First start", "first-start")
    window.type("ada", "password", "password")
    window.expect("First start", "first-start-refused")
    window.kill()
    window.start()
    window.expect("First start")
    window.type("ada", ADA, ADA)
    window.expect("Home", "home-of-the-administrator")


def people(window):
    window.button(6)
    window.expect("People", "people")
    window.type("bob", "a password to begin with")
    window.expect("People", "people-added")
    window.button(3)
    window.expect("Home")


def lock(window):
    window.button(1)
    window.expect("Locked", "locked")
    window.type("eight geese at noon")
    window.expect("Locked", "locked-refused")
    window.type(ADA)
    window.expect("Home")


def second_factor(window):
    window.button(5)
    secret = scan(window.expect("Second factor", "second-factor"))
    window.type("000000", "111111")
    window.expect("Second factor", "second-factor-refused")
    window.says("The password or code is wrong")
    window.type(*two_codes(secret))
    window.expect("Recovery codes", "recovery-codes")
    window.button(1)
    window.expect("Home", "home-with-a-second-factor")
    return secret


def sessions(window):
    window.button(4)
    window.expect("My sessions", "sessions")
    window.button(1)
    window.expect("Home")


def switch_user(window):
    """From the lock of one user to another, who has to change the first password."""
    window.button(1)
    window.expect("Locked")
    window.button(2)
    window.expect("Sign in", "switch-user")
    window.type("bob", "a password to begin with")
    window.expect("New password", "new-password")
    window.type(BOB, "another one")
    window.expect("New password", "new-password-refused")
    window.type(BOB, BOB)
    window.expect("Home", "home-of-bob")


def starts(window):
    """A start asks for the password, unless the user stays signed in; then it locks by idleness."""
    window.kill()
    window.start()
    window.expect("Sign in", "start")
    window.fill("bob", BOB)
    window.press("Tab", "space")
    window.button(1)
    window.expect("Home", "home-saved-in-the-keyring")
    window.kill()
    window.start("--lock-after", "10")
    window.expect("Home", "home-resumed")
    window.expect("Locked", "locked-by-idleness")
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
    until(lambda: window.find("--class", "gcr-prompter"), "the prompt of the keyring")
    window.xdotool("windowfocus", "--sync", window.find("--class", "gcr-prompter")[-1])
    time.sleep(1)  # The prompt reports nothing: the time of its first frame.
    window.picture("keyring-asks")
    window.xdotool("type", "--delay", "12", KEYRING_PASSWORD.decode())
    window.xdotool("key", "Return")
    window.expect("Home", "home-after-the-keyring")
    window.focus()


def with_code(window, secret):
    window.button(3)
    window.expect("Sign in", "signed-out")
    window.type("ada", "eight geese at noon")
    window.expect("Sign in", "sign-in-refused")
    window.type(ADA)
    window.expect("Code", "code")
    window.type("000000")
    window.expect("Code", "code-refused")
    window.says("The code is wrong")
    window.type(unused_code(secret))
    window.expect("Home")
    window.button(1)
    window.expect("Locked", "locked-by-code")


def new_password_and_code(window, desktop, secret):
    """A new password that breaks a rule is refused for that rule, and the sign-in goes on."""
    window.button(2)
    window.expect("Sign in")
    change(desktop, "UPDATE credential SET must_change = 1"
                    " WHERE user_id = (SELECT id FROM user WHERE username = 'ada')")
    window.type("ada", ADA)
    window.expect("Code", "code-and-new-password")
    window.type(unused_code(secret), "short")
    window.expect("Code", "code-and-new-password-refused")
    window.says("The password is shorter than 8 characters.")
    window.type(unused_code(secret), "er than nine geese at noon")
    window.expect("Home")


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
