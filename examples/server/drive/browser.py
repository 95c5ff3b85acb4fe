#!/usr/bin/env python3
"""Drives the pages of the example server in headless Chromium, as a person does.

browser.py [FOLDER]: with a folder, it also keeps a picture of every page, light and dark. Prints
each scene and the number of checks; the first check that fails ends the run.
"""

import sys
import tempfile
from pathlib import Path

from parts import (
    PASSWORD,
    Browser,
    Driver,
    Program,
    Server,
    binary,
    code,
    free_port,
    next_step,
    refused,
)

NEW_PASSWORD = "seven geese at noon"
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
counts = {"scenes": 0, "checks": 0, "pictures": 0}


def check(found, *expected):
    """Each of `expected` is in `found`."""
    for part in expected:
        counts["checks"] += 1
        assert part in found, f"{part!r} is not in:\n{found}"


def absent(found, part):
    counts["checks"] += 1
    assert part not in found, f"{part!r} is in:\n{found}"


# Asked of every page that is pictured: what a person with a keyboard or a screen reader needs.
ACCESSIBLE = """
const found = [];
const named = (e) => e.labels?.length || e.ariaLabel || e.textContent.trim();
for (const e of document.querySelectorAll('input:not([type=hidden]), select, button, a'))
    if (!named(e)) found.push('no label: ' + e.outerHTML);
for (const e of document.querySelectorAll('img')) if (!e.alt) found.push('no alt: ' + e.outerHTML);
if (!document.documentElement.lang) found.push('no language');
if (document.querySelectorAll('h1').length != 1) found.push('not one h1');
if (document.querySelectorAll('script').length) found.push('a script');
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
for (const id of ids) if (ids.filter(other => other == id).length > 1) found.push('twice: ' + id);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (rgb) => rgb.slice(0, 3)
    .map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const ground = (e) => {
    for (; e; e = e.parentElement) {
        const rgb = parse(getComputedStyle(e).backgroundColor);
        if (rgb.length == 3 || rgb[3] > 0) return rgb;
    }
    return [255, 255, 255];
};
for (const e of document.querySelectorAll('h1, h2, p, a, td, th, label, button, input, caption, li')) {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) found.push('contrast: ' + e.outerHTML.slice(0, 80));
}
return found;
"""


def shown(browser, name):
    """The page is accessible; its pictures are kept."""
    for scheme in ["light", "dark"]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.cdp("Emulation.setEmulatedMedia", features=features)
        counts["checks"] += 1
        found = browser.script(ACCESSIBLE)
        assert not found, f"{name}, {scheme}: {found}"
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            browser.picture(pictures / f"{name}-{scheme}.png", scheme)
            counts["pictures"] += 1


def post(browser, path):
    """A form without fields, as a person may send who knows the address."""
    form = "document.body.innerHTML = `<form method=post action=${arguments[0]}><button>x</button>`"
    browser.script(form, path)
    browser.click("button")


def button_path(browser, label):
    """The path to which the form of that button is sent."""
    form = "return new URL(document.querySelector(arguments[0]).form.action).pathname"
    return browser.script(form, f"button[aria-label='{label}']")


def scene(title):
    counts["scenes"] += 1
    print(f"-- {title}", flush=True)


driver = Driver()
server = Server("--demo")
ada = Browser(driver, server)

scene("a person who is not signed in is sent to the login page, and back after the login")
ada.go("/account")
check(ada.path, "/login?next=%2Faccount")
shown(ada, "login")

scene("a wrong password")
ada.fill(username="ada", password="a wrong guess")
check(ada.text, "The username or password is wrong")
assert "__Host-session" not in ada.cookies()
shown(ada, "login-wrong")

scene("sign in")
ada.fill(username="ada", password=PASSWORD)
check(ada.path, "/account")
cookies = ada.cookies()
for name in ["__Host-session", "__Host-device"]:
    cookie = cookies[name]
    check(str(cookie), "'httpOnly': True", "'secure': True", "'sameSite': 'Lax'", "'path': '/'")
check(ada.text, "Where I am signed in", "This one")
ada.go("/login")
check(ada.path, "/")
check(ada.text, "Hello, Ada", "York")
shown(ada, "home")

scene("an image by a ticket")
loaded = "return document.querySelector('main img').naturalWidth"
ada.until(lambda: ada.script(loaded) > 0)
image = ada.script("return document.querySelector('main img').src")
check(image, "?ticket=gpt_")

scene("her sessions: another browser is revoked, and signed out at its next request")
other = Browser(driver, server, width=420, height=900)
other.sign_in("ada")
other.go("/account")
shown(other, "account-narrow")
ada.go("/account")
check(ada.text, "Sign out everywhere else")
shown(ada, "account")
ada.click("td.actions button")
absent(ada.text, "Sign out everywhere else")
other.go("/account")
check(other.path, "/login?next=%2Faccount")
assert "__Host-session" not in other.cookies(), "the refused cookie is cleared"

scene("the second server sees who is signed in, and who is not any more")
port = free_port()
guest = Program(
    *(binary("guest"), "--listen", f"127.0.0.1:{port}", "--server", server.origin)
)
guest.line("^listening")
ada.go(f"http://localhost:{port}/")
check(ada.text, "You are user ", ": 0 measurements, sum 0.")
# Another site could make a browser send its cookies.
add = "return fetch('/', { method: 'POST', body: '5' }).then((answer) => String(answer.status))"
check(ada.script(add), "401")
other.go(f"http://localhost:{port}/")
check(other.text, "Sign in at the first server.")

scene("logout, and the button Back")
ada.go("/")
ada.go("/account")
ada.click("nav button")
check(ada.path, "/login")
assert "__Host-session" not in ada.cookies() and "__Host-device" in ada.cookies()
ada.back()
absent(ada.text, "Where I am signed in")
check(ada.path, "/login")
ada.go(image)
absent(ada.script("return document.documentElement.outerHTML"), "#3f7d58")
ada.go(f"http://localhost:{port}/")
check(ada.text, "Sign in at the first server.")

scene("two users in turn in one browser: the second login ends the first session")
ada.sign_in("ada")
first = ada.cookies()
ada.go("/login")  # Signed in already: on.
check(ada.path, "/")
# Bob signs in on the login page that Ada left open, without her signing out.
bob_form = """
document.body.innerHTML = '<main><form method="post" action="/login"><input name="username">'
    + '<input name="password" type="password"><button>Sign in</button></form></main>';
"""
ada.script(bob_form)
ada.fill(username="bob", password=PASSWORD)
check(ada.text, "Hello, Bob")
second = ada.cookies()
check(second["__Host-device"]["value"], first["__Host-device"]["value"])
check(str(first["__Host-session"]["value"] != second["__Host-session"]["value"]), "True")
old = {"name": "__Host-session", "value": first["__Host-session"]["value"]}
ada.cdp("Network.setCookie", url=server.origin, path="/", secure=True, **old)
ada.go("/account")
check(ada.path, "/login?next=%2Faccount")

scene("too many attempts")
for _ in range(5):
    other.sign_in("eve", "a wrong guess")
    check(other.text, "The username or password is wrong")
other.fill(username="eve", password=PASSWORD)
check(other.text, "Too many attempts")
shown(other, "login-throttled")

scene("an administrator has to set up a second factor at the first login")
root = Browser(driver, server)
root.sign_in("root")
check(root.text, "Set up your second factor")
assert "__Host-session" not in root.cookies()
shown(root, "login-enrol")
root_secret = root.script("return document.querySelector('#secret').textContent")
root.fill(first="000000", second="111111")
check(root.text, "The code is wrong")
check(root.script("return document.querySelector('#secret').textContent"), root_secret)
root.fill(first=code(root_secret, -1), second=code(root_secret))
check(root.text, "Recovery codes")
shown(root, "login-recovery-codes")
recovery = root.script("return document.querySelector('.codes li').textContent")
root.click("main a")
check(root.text, "Hello, Ruth")

scene("the administrator disables a user, who is signed out at once and may not log in")
ada.sign_in("ada")
check(ada.text, "Hello, Ada")
root.go("/admin/users")
check(root.text, "ada@example.com", "eve", "failed attempts")
shown(root, "admin-users")
root.click("button[aria-label='Disable: ada']")
ada.go("/")
check(ada.path, "/login")
ada.fill(username="ada", password=PASSWORD)
check(ada.text, "disabled")
root.click("button[aria-label='Enable: ada']")

scene("the administrator demands a new password: a forced change at the next login")
root.click("button[aria-label='Demand a new password: bob']")
other.sign_in("bob")
check(other.text, "Choose a new password")
shown(other, "login-change")
other.fill(username="bob", password=PASSWORD, new_password="password")
check(other.text, "many people use")
other.fill(username="bob", password=PASSWORD, new_password=NEW_PASSWORD)
check(other.text, "Hello, Bob")

scene("the administrator of everything invites a person to no branch")
root.go("/admin/users")
invite = "main form[method=post].stacked button"
root.fill(invite, username="gus", email="gus@example.com")
check(root.text, "gus@example.com", "pending")
root.fill(invite, username="gus", email="gus2@example.com")
check(root.text, "taken")
root.go("/admin/users")
disable_gus = button_path(root, "Sign out: gus").replace("/revoke", "/disable")
disable_ada = button_path(root, "Disable: ada")

scene("the administrator of a branch sees its users alone, and invites a person")
carol = Browser(driver, server)
carol.sign_in("carol")
check(carol.text, "Hello, Carol", "York")
carol.click("nav a[href='/admin/users']")
check(carol.text, "ada@example.com")
absent(carol.text, "root@example.com")
absent(carol.text, "gus@example.com")
branches = "return [...document.querySelectorAll('#branch option')].map(o => o.text).join()"
check(carol.script(branches), "York")
absent(carol.script(branches), "None")
shown(carol, "admin-users-of-a-branch")
carol.fill("main form[method=post].stacked button", username="dora", email="dora@example.com")
check(carol.text, "dora@example.com", "pending")
carol.go(server.mail("dora@example.com"))
check(carol.text, "Welcome")
shown(carol, "welcome")
carol.fill(new_password=NEW_PASSWORD)
check(carol.text, "The password is set.")
other.click("nav button")
other.sign_in("dora", NEW_PASSWORD)
check(other.text, "Hello, dora", "York")
absent(other.script("return document.querySelector('nav').innerText"), "Users")
other.go("/admin/users")
check(other.text, "You may not do this.")
shown(other, "forbidden")

scene("the administrator of a branch disables, enables, signs out, unlocks and mails a link")
carol.go("/admin/users")
carol.click("button[aria-label='Disable: dora']")
other.go("/")
check(other.path, "/login")
carol.click("button[aria-label='Enable: dora']")
other.sign_in("dora", NEW_PASSWORD)
check(other.text, "Hello, dora")
carol.click("button[aria-label='Sign out: dora']")
other.go("/")
check(other.path, "/login")
carol.click("button[aria-label='Forgive failed attempts: eve']")
absent(carol.text, "failed attempts")
# The wait of the name that was typed is another, which goes on.
other.sign_in("eve@example.com")
check(other.text, "Hello, Eve")
carol.click("button[aria-label='Mail a reset link: eve']")
check(server.mail("eve@example.com"), "/reset?token=")
carol.click("button[aria-label='Demand a new password: eve']")
check(carol.text, "must change the password")
other.go("/")
check(other.path, "/login")

scene("outside of the branch is as if it did not exist, and the audit log is closed")
post(carol, disable_gus)
check(carol.text, "There is no user of this id.")
check(carol.script("return document.title"), "Not Found")
shown(carol, "outside")
unknown = disable_gus.split("/")
unknown[3] = "01890000-0000-7000-8000-000000000000"
post(carol, "/".join(unknown))
check(carol.text, "There is no user of this id.")
carol.go("/admin/audit")
check(carol.text, "You may not do this.")
other.sign_in("dora", NEW_PASSWORD)
for path in [disable_gus, disable_ada]:
    post(other, path)
    check(other.text, "There is no user of this id.")
root.go("/admin/users")
check(root.text, "gus@example.com", "pending")
absent(root.text, "disabled")

scene("the audit log")
root.go("/admin/audit")
check(root.text, "user.disabled", "login.refused", "user.invitation_accepted")
shown(root, "admin-audit")

scene("a forgotten password: the token sets a new one, once")
other.go("/")
other.click("nav button")
other.go("/forgot")
shown(other, "forgot")
other.fill(username="ada@example.com")
check(other.text, "If there is such an account")
link = server.mail("ada@example.com")
other.go(link)
shown(other, "reset")
other.fill("main form button", new_password="short")
check(other.text, "shorter than 8 characters")
other.fill("main form button", new_password=NEW_PASSWORD)
check(other.text, "The password is set.")
shown(other, "reset-done")
other.go(link)
other.fill("main form button", new_password=PASSWORD)
check(other.text, "The link was used or has expired")
other.sign_in("ada")
check(other.text, "The username or password is wrong")
other.fill(username="ada", password=NEW_PASSWORD)
check(other.text, "Hello, Ada")

scene("she sets up a second factor in her session, which asks for a proof and comes back")
other.go("/account/second-factor")
shown(other, "second-factor")
server.age_proofs(15 * 60)
other.click("main form button")
check(other.path, "/prove?next=/account/second-factor")
other.fill(password=NEW_PASSWORD)
check(other.path, "/account/second-factor")
server.age_proofs(15 * 60)
other.go("/account/second-factor")
check(other.path, "/prove?next=%2Faccount%2Fsecond-factor")
other.fill(password=NEW_PASSWORD)
check(other.path, "/account/second-factor")
other.click("main form button")
shown(other, "second-factor-enrol")
secret = other.script("return document.querySelector('#secret').textContent")
other.fill(first=code(secret, -1), second=code(secret))
check(other.text, "not shown again")
shown(other, "recovery-codes")
ada_recovery = other.script("return document.querySelector('.codes li').textContent")
other.go("/account")
check(other.text, "10 recovery codes are left")
other.go("/account/password")
shown(other, "password")

scene("a login with the second factor: a recovery code, then a code of the authenticator")
root.click("nav button")
root.sign_in("root")
check(root.text, "Second factor")
shown(root, "login-code")
root.fill(code="000000")
check(root.text, "The code is wrong")
root.fill(code=recovery)
check(root.text, "Hello, Ruth")
root.go("/account")
check(root.text, "9 recovery codes are left")
other.click("nav button")
next_step()
other.sign_in("ada", NEW_PASSWORD)
other.script("document.querySelector('[name=trust]').click()")
other.fill(code=code(secret))
check(other.text, "Hello, Ada")
other.go("/prove?next=/account")
shown(other, "prove")
other.fill(code="000000")
check(other.text, "wrong")

scene("a store of --demo opens with --demo alone, which listens on this machine alone")
for address in ["0.0.0.0:0", "127.0.0.1:0"]:
    check(refused("--data", server.data, "--listen", address), "--demo made this store")
check(refused("--demo", "--data", server.data, "--listen", "0.0.0.0:0"), "127.0.0.1 alone")
folder = Path(tempfile.mkdtemp(prefix="folder-"))
command = [binary("gatepost-example-server"), "--listen"]
demo = Program(*command, "127.0.0.1:0", "--demo", cwd=folder)
demo.line("^listening on")
demo.end()
check(str([path.name for path in folder.iterdir()] == ["demo-data"]), "True")

scene("the first administrator follows the link that is printed; --demo spares that store")
port = free_port()
own = Program(*command, f"127.0.0.1:{port}", cwd=folder)
own.origin = f"http://localhost:{port}"
link = own.line(r"^mail to the operator: \S+(/first\?token=\S+)$")[1]
own.line("^listening on")
first = Browser(driver, own)
first.go(link)
shown(first, "first")
first.fill(username="zoe", password=NEW_PASSWORD)
check(first.path, "/login")
first.sign_in("zoe", NEW_PASSWORD)
check(first.text, "Set up your second factor")
first.end()
assert own.end() == 0
check(str((folder / "data" / "auth.db").exists()), "True")
check(refused("--demo", "--data", folder / "data", "--listen", "127.0.0.1:0"), "has others")
own = Program(*command, "127.0.0.1:0", cwd=folder)
own.line("^listening on")  # It was not marked.
own.end()

scene("a store that has lost its key file is refused, and no other key is made")
keys = folder / "data" / "keys"
keys.rename(folder / "kept")
check(refused("--data", folder / "data", "--listen", "127.0.0.1:0"), "data/keys: the key file does")
check(str(keys.exists()), "False")
(folder / "kept").rename(keys)

scene("in a trusted browser the password signs in, and a change of it asks for the code")
other.click("nav button")
other.sign_in("ada", NEW_PASSWORD)
check(other.text, "Hello, Ada")
other.go("/account/password")
other.fill(current=NEW_PASSWORD, new=PASSWORD)
check(other.path, "/prove?next=/account/password")
other.find("[name=code]")
absent(other.script("return document.querySelector('main').innerHTML"), 'name="password"')
other.fill(code="000000")
check(other.text, "wrong")
shown(other, "prove-trusted")
next_step()
other.fill(code=code(secret))
check(other.path, "/account/password")
other.fill(current=NEW_PASSWORD, new=PASSWORD)
check(other.text, "Your password is changed.")

scene("a session whose second factor was removed is proved by the password")
other.go("/account/second-factor")
other.fill(password=PASSWORD, code=ada_recovery)
check(other.text, "You sign in with your password alone.")
server.age_proofs(15 * 60)
other.go("/account/second-factor")
check(other.path, "/prove?next=%2Faccount%2Fsecond-factor")
shown(other, "prove-removed")
other.fill(password=PASSWORD)
check(other.path, "/account/second-factor")
check(other.text, "Set one up")

scene("a browser is forgotten: the session in it is revoked, another one goes on")
ada.sign_in("ada")
ada.go("/account")
labels = """
return [...document.querySelectorAll('form[action$="/forget"] button')].map(b => b.ariaLabel)
"""


def forgettable(browser):
    """The label of the button for this browser, and the labels of all."""
    found = browser.script(labels)
    return next(label for label in found if label.startswith("Forget, and sign out: ")), found


mine, rows = forgettable(ada)
other.go("/account")
handle = forgettable(other)[0].split(": ")[1]
ada.click(f"button[aria-label='Forget: {handle}']")
check(ada.path, "/account")
check(str(len(forgettable(ada)[1])), str(len(rows) - 1))
shown(ada, "account-forget")
other.go("/account")
check(other.path, "/login?next=%2Faccount")
ada.click(f"button[aria-label='{mine}']")
check(ada.path, "/login?next=%2Faccount")

scene("nothing at an unknown address")
other.go("/no/such/page")
check(other.text, "There is no such page.")
shown(other, "missing")

for browser in [ada, other, root, carol]:
    browser.end()
guest.process.terminate()
assert server.end() == 0, "the server ends with success"
driver.end()
print("{scenes} scenes, {checks} checks, {pictures} pictures".format(**counts))
