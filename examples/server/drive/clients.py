#!/usr/bin/env python3
"""Independent HTTP clients at the example server, behind nginx with TLS: curl, Python's requests
(the package `requests`), and a page of another origin in Chromium. Prints the number of checks.
"""

import base64
import functools
import html
import http.server
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import requests
import proxy as proxies
from parts import PASSWORD, Browser, Driver, Server, free_port
from proxy import Proxy

port = free_port()
origin = f"https://localhost:{port}"
server = Server("--demo", "--trusted-proxy", "127.0.0.1/32", origin=origin)
proxy = Proxy(port, server.port)
folder = Path(tempfile.mkdtemp(prefix="clients-"))
checks = 0


def check(found, expected):
    global checks
    checks += 1
    assert found == expected, f"{found!r}, not {expected!r}"


def curl(path, *arguments):
    return proxies.curl(f"{origin}{path}", proxy.certificate, *arguments)


proxies.wait_for(f"{origin}/healthz", proxy.certificate)

# curl with a jar of cookies, as a browser without a script.
jar = ["-b", folder / "jar", "-c", folder / "jar"]
login = ["--data-urlencode", "username=ada", "--data-urlencode", f"password={PASSWORD}"]
check(curl("/account", *jar)[0], 303)
check(curl("/login", *jar, *login)[0], 303)
status, body = curl("/account", *jar)
check((status, "This one" in body, "curl/" in body), (200, True, True))
# nginx adds the address, and a header of the caller is not believed beyond it.
status, body = curl("/account", *jar, "-H", "X-Forwarded-For: 203.0.113.9")
check("203.0.113.9" in body, False)
for headers in [
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],
    ["Origin: https://evil.example"],
    ["Origin: null"],
]:
    forged = [word for header in headers for word in ("-H", header)]
    check(curl("/logout", *jar, *forged, "-X", "POST")[0], 403)
check(curl("/account", *jar)[0], 200)
check(curl("/logout", *jar, "-X", "POST", "-H", f"Origin: {origin}")[0], 303)
check(curl("/account", *jar)[0], 303)

# requests, with the cookies of a session.
browser = requests.Session()
browser.trust_env = False  # An environment may name certificates of its own.
browser.verify = str(proxy.certificate)
answer = browser.post(
    f"{origin}/login", {"username": "bob", "password": PASSWORD}, allow_redirects=False
)
check(answer.status_code, 303)
check(sorted(browser.cookies.keys()), ["__Host-device", "__Host-session"])
set_cookies = answer.raw.headers.getlist("set-cookie")
for line in set_cookies:
    for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age="]:
        check(part in line, True)
check("no-store" in answer.headers["cache-control"], True)
check("Hello, Bob" in browser.get(origin).text, True)
for name in ["content-security-policy", "referrer-policy", "x-content-type-options"]:
    check(name in browser.get(origin).headers, True)

# The endpoints for programs, with the token in the body, and then as Basic and Bearer.
def call(path, body=None, **more):
    url = f"{origin}/VPE/session/{path}/"
    return kept_nowhere(requests.post(url, json=body, verify=str(proxy.certificate), **more))


def kept_nowhere(answer):
    names = ["cache-control", "x-content-type-options"]
    check([answer.headers.get(name) for name in names], ["no-store", "nosniff"])
    return answer


check(call("testConnection").json()["Success"], True)
program = {"Username": "bob", "Password": PASSWORD, "DeviceId": "program-1"}
reply = call("login", program).json()
golden = """Success Message SessionId Configuration User Branch Organisation DesktopClientDenied
    IncompatibleServiceVersion LockedUserAccount NewPasswordRequired RemainingCredits
    ServerApiVersion VpeName"""
check(list(reply), golden.split())
check((reply["Success"], reply["User"]["Username"]), (True, "bob"))
session = {"SessionId": reply["SessionId"], "DeviceId": "program-1"}
check(call("verify", session).json()["Username"], "bob")
check(call("verify", {**session, "DeviceId": "program-2"}).json()["Success"], False)
refused = call("login", {**program, "Password": "a wrong guess"}).json()
check((refused["Success"], refused["SessionId"], refused["User"]), (False, None, None))


def verify(*credentials):
    headers = {"authorization": " ".join(credentials)}
    url = f"{origin}/VPE/session/verify/"
    return kept_nowhere(requests.get(url, headers=headers, verify=str(proxy.certificate)))


def basic(user, password=""):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


check(verify("Basic", basic(reply["SessionId"], "program-1")).status_code, 200)
check(verify("Basic", basic(reply["SessionId"], "program-2")).status_code, 401)
check(verify("Bearer", reply["SessionId"]).status_code, 401)  # A session needs its device.
check(verify("Bearer", "gps_forged").headers["www-authenticate"], 'Bearer error="invalid_token"')
changed = call(
    "changePassword", {**session, "CurrentPassword": PASSWORD, "NewPassword": "seven wet geese"}
).json()
check(changed["Success"], True)
check(call("verify", session).json()["Success"], False)
check(browser.get(f"{origin}/account", allow_redirects=False).status_code, 303)
session["SessionId"] = changed["SessionId"]
check(call("logout", session).json()["Success"], True)
check(call("logout", session).json()["Success"], True)
check(call("verify", session).json()["Success"], False)
check(call("login", data="{").status_code, 415)

# The pages of a search have its users alone.
carol = requests.Session()
carol.trust_env, carol.verify = False, str(proxy.certificate)
carol.post(f"{origin}/login", {"username": "carol", "password": PASSWORD})
form = carol.get(f"{origin}/admin/users").text
[york] = re.findall(r'<option value="([^"]+)">York<', form)
names = [f"ann&{n}" for n in range(50)] + ["zoe", "ann&50"]
for number, name in enumerate(names):
    new = {"username": name, "email": f"{number}@example.com", "branch": york}
    answer = carol.post(f"{origin}/admin/users", new, allow_redirects=False)
    check(answer.status_code, 303)


def listed(query):
    """The names on a page of the users, and the link to the next one."""
    page = html.unescape(carol.get(f"{origin}/admin/users{query}").text)
    links = re.findall(r'<a href="([^"]+)">Next page<', page)
    return re.findall(r"<td>(ann&\d+|zoe) *</td>", page), links


page_1, [link] = listed("?text=ann%26")
page_2, links = listed(link)
check((len(page_1), len(page_2), links), (50, 1, []))
check(sorted(page_1 + page_2), sorted(set(names) - {"zoe"}))
check("zoe" in listed(listed("")[1][0])[0], True)

# The users of the other service's API, by forms of the other encoding, and by JSON.
account = "01890a5d-ac96-774b-bcce-b302099a8000"
login = {"account_id": account, "username": "ada", "password": PASSWORD}


def users(method, path, status, kind=None, **more):
    url = f"{origin}{path}"
    answer = kept_nowhere(requests.request(method, url, verify=str(proxy.certificate), **more))
    answered = answer.json()
    found = answered["result"] if status == 200 else answered["error"]["type"]
    check((answer.status_code, found), (status, kind or "success"))
    return answered


token = users("POST", "/v1/auth/login", 200, data=login)["user"]["access_token"]
users("POST", "/v1/auth/login", 200, json=login)
me = {"auth": (token, "")}
check(users("GET", "/v1/auth/me", 200, **me)["user"]["username"], "ada")
# A cookie counts for nothing there.
browser.post(f"{origin}/login", {"username": "bob", "password": "seven wet geese"})
check(browser.get(f"{origin}/account").status_code, 200)
check(browser.get(f"{origin}/v1/auth/me").status_code, 401)
check(browser.put(f"{origin}/v1/auth/me", {"attributes": "e30="}).status_code, 401)
for path in ["/v2/users", "/v1/auth/login", "/v1/no/such/path"]:
    users("GET", path, 404, "REQUEST.NOT_SERVED", **me)
for kind in ["text/plain", "application/json", "multipart/form-data"]:
    headers = {"content-type": kind}
    malformed = {"data": "attributes", "headers": headers, **me}
    users("PUT", "/v1/auth/me", 422, "REQUEST.INVALID", **malformed)
for body in [
    {"attributes": "e30=", "status": "ACTIVATED"},
    {"attributes": "{}"},
    {"attributes": "e30"},
    {"attributes": "ezA="},
    [("attributes", "e30="), ("attributes", "e30=")],
    {"attributes": "A" * 70_000},
    {},
]:
    users("PUT", "/v1/auth/me", 422, "REQUEST.INVALID", data=body, **me)
check(users("GET", "/v1/auth/me?full=true", 200, **me)["user"]["attributes"], "e30=")
text = base64.b64encode('{"city": "東京"}'.encode()).decode()
users("PUT", "/v1/auth/me", 200, data={"attributes": text}, **me)
found = users("GET", "/v1/auth/me?full=true", 200, **me)["user"]["attributes"]
check(base64.b64decode(found), rb'{"city": "\u6771\u4eac"}')
users("GET", "/v1/auth/me?full=maybe", 422, "REQUEST.INVALID", **me)
[key] = [line.split()[-1] for line in server.printed if line.startswith("demo program robot")]
robot = {"auth": (key, "")}
two = {"username": "eva", "status": "LOCKED"}
id = users("POST", "/v1/users", 200, data={"username": "eva"}, **robot)["user"]["id"]
for body in [two, {}, {"group_ids": "x"}, {"status": "ASLEEP"}]:
    users("PUT", f"/v1/users/{id}", 422, "REQUEST.INVALID", data=body, **robot)
check(users("GET", f"/v2/users/{id}", 200, **robot)["users"][0]["status"], "ACTIVATED")
users("GET", f"/v2/users/{','.join([id] * 101)}", 422, "REQUEST.INVALID", **robot)
wrong = {"data": {**login, "not_valid_after": "tomorrow"}}
users("POST", "/v1/auth/login", 422, "REQUEST.INVALID", **wrong)
users("POST", "/v1/auth/logout", 200, **me)
users("GET", "/v1/auth/me", 401, "AUTH.INVALID_TOKEN", **me)

# Too many attempts say when to come back.
for _ in range(6):
    answer = requests.post(
        f"{origin}/login",
        {"username": "eve", "password": "a wrong guess"},
        verify=str(proxy.certificate),
    )
check((answer.status_code, answer.headers["retry-after"].isdigit()), (429, True))

# A page of another origin: it may call the endpoints for programs, and gets nothing by cookies.
page = folder / "page"
page.mkdir()
(page / "index.html").write_text("<!doctype html><title>Another site</title>")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


other = http.server.ThreadingHTTPServer(
    ("127.0.0.1", 0), functools.partial(Quiet, directory=page)
)
threading.Thread(target=other.serve_forever, daemon=True).start()
plain = Server("--demo")
driver = Driver()
chromium = Browser(driver, plain)
chromium.sign_in("ada")
chromium.go(f"http://127.0.0.1:{other.server_address[1]}/index.html")
fetched = """
const [url, options] = arguments;
return fetch(url, options).then(
    async (answer) => [answer.status, (await answer.text()).slice(0, 2000)],
    (error) => ['refused', String(error)]);
"""


def fetch(path, **options):
    return chromium.script(fetched, f"{plain.origin}{path}", options)


program = json.dumps({"Username": "root", "Password": PASSWORD, "DeviceId": "page-1"})
status, text = fetch(
    "/VPE/session/login/",
    method="POST",
    body=program,
    headers={"content-type": "application/json"},
)
check((status, json.loads(text)["Success"]), (200, False))  # Root has to enrol a factor first.
bob = program.replace("root", "bob")
json_type = {"content-type": "application/json"}
status, text = fetch("/VPE/session/login/", method="POST", body=bob, headers=json_type)
check((status, json.loads(text)["Success"]), (200, True))
check(fetch("/account", credentials="include")[0], "refused")
check(fetch("/logout", method="POST", credentials="include")[0], "refused")
# A form of the other site is answered 403, and signs no one out.
chromium.script(
    "document.body.innerHTML = `<form method=post action=${arguments[0]}><button>x</button>`",
    f"{plain.origin}/logout",
)
chromium.click("button")
check("comes from another site" in chromium.text or chromium.path.startswith("/login"), True)
chromium.go("/")
check("Hello, Ada" in chromium.text, True)

chromium.end()
driver.end()
plain.end()
check(server.end(), 0)
print(f"{checks} checks")
