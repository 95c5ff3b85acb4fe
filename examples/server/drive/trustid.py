#!/usr/bin/env python3
"""The flow of the TrustID guide at the example server, by plain HTTP: connection test, login,
verify, image, change of the password, logout, and every refusal of a login, against the kept shapes
in tests/it/golden. Prints each refusal with its message, and the number of checks.
"""

import base64
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parts import PASSWORD, Server, code

GOLDEN = Path(__file__).parents[3] / "tests" / "it" / "golden"
REPLY = json.loads((GOLDEN / "login_reply.json").read_text())
REFUSED = json.loads((GOLDEN / "login_refused.json").read_text())
FLAGS = [name for name, value in REFUSED.items() if isinstance(value, bool) and name != "Success"]
ACCOUNT = "01890a5d-ac96-774b-bcce-b302099a8000"
checks = 0


def check(found, expected):
    global checks
    checks += 1
    assert found == expected, f"{found!r}, not {expected!r}"


def request(server, method, path, body=None, **headers):
    """Status, headers and body of an answer."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, dict):
        headers["content-type"] = "application/json"
        body = json.dumps(body)
    data = body.encode() if body is not None else None
    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data, headers)
    asked.method = method
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def call(server, path, **body):
    """An endpoint of the service, as a page of another origin calls it."""
    path = f"/VPE/session/{path}/"
    origin = "https://elsewhere.example"
    status, headers, text = request(server, "POST", path, body, origin=origin)
    check((status, headers["access-control-allow-origin"]), (200, "*"))
    return json.loads(text)


def like(found, golden):
    """The same names in the same order, and values of the same kind; a null is of each kind."""
    if isinstance(found, dict) and isinstance(golden, dict):
        check(list(found), list(golden))
        for name, value in found.items():
            like(value, golden[name])
    elif isinstance(found, list) and isinstance(golden, list):
        for one in found:
            like(one, golden[0])
    elif found is not None and golden is not None:
        check(type(found), type(golden))


def log_in(server, user, password=PASSWORD, device="till-1", **more):
    return call(server, "login", Username=user, Password=password, DeviceId=device, **more)


def granted(*given, **more):
    reply = log_in(*given, **more)
    check(reply["Success"], True)
    like(reply, REPLY)
    return reply


def refused(name, message, *given, flag=None, **more):
    """The kept shape of a refusal, with the one flag of this refusal, if it has one."""
    reply = log_in(*given, **more)
    expected = {**REFUSED, **{other: other == flag for other in FLAGS}}
    expected |= {"Message": reply["Message"], "VpeName": "Example"}
    check(list(reply), list(REFUSED))
    check(reply, expected)
    check(message in reply["Message"], True)
    print(f"{name:32} | {flag or '':26} | {reply['Message']}")


def administer(method, path, **form):
    """A call of the other service's API, by the key of the demo's program."""
    [line] = [line for line in server.printed if line.startswith("demo program robot")]
    return by(line.split()[-1], method, path, **form)


def by(token, method, path, **body):
    basic = base64.b64encode(f"{token}:".encode()).decode()
    sent = request(server, method, path, body or None, authorization=f"Basic {basic}")
    answer = json.loads(sent[2])
    check((sent[0], answer["result"]), (200, "success"))
    return answer


server = Server("--demo")

# The connection test asks for no session, and any origin may call.
for method in ["GET", "POST"]:
    status, headers, text = request(server, method, "/VPE/session/testConnection/")
    names = ["Success", "Message", "ServerApiVersion", "VpeName"]
    check((status, list(json.loads(text))), (200, names))
    check(headers["cache-control"], "no-store")
asked = {"origin": "https://elsewhere.example", "access_control_request_method": "POST"}
status, headers, _ = request(
    server, "OPTIONS", "/VPE/session/login/", **asked, access_control_request_headers="content-type"
)
check((status, headers["access-control-allow-origin"]), (200, "*"))
check("content-type" in headers["access-control-allow-headers"], True)
check(headers["access-control-allow-credentials"], None)

# A login on a device, and what its reply has.
reply = granted(server, "eve")
check(reply["Configuration"], [{"Key": "autoDeleteEnabled", "Value": "False"}])
check((reply["User"]["Username"], reply["User"]["BranchName"]), ("eve", "York"))
check((reply["Branch"]["Name"], reply["Organisation"]["Name"]), ("York", "Northern"))
check(reply["RemainingCredits"], {"Branch": 100, "Organisation": None})
check((reply["ServerApiVersion"], reply["VpeName"]), ("1.0", "Example"))
session = {"SessionId": reply["SessionId"], "DeviceId": "till-1"}
verified = call(server, "verify", **session)
check((verified["UserId"], verified["Username"]), (reply["User"]["Id"], "eve"))
check(call(server, "verify", **{**session, "DeviceId": "till-2"})["Success"], False)
# Each body has a device.
opened = administer("POST", f"/v1/users/{reply['User']['Id']}/access_token")
by_token = {"SessionId": opened["user"]["access_token"]}
for path, body in [
    ("login", {"Username": "eve", "Password": PASSWORD}),
    ("verify", by_token),
    ("logout", by_token),
    ("image", by_token),
    ("changePassword", {**by_token, "CurrentPassword": PASSWORD, "NewPassword": "x"}),
]:
    status, _, text = request(server, "POST", f"/VPE/session/{path}/", body)
    check((status, json.loads(text)["detail"]), (422, "The request has no DeviceId."))

# The other service's bodies have each parameter once, in each encoding.
for kind, body in [
    ("application/json", '{"username": "eve", "username": "bob"}'),
    ("application/x-www-form-urlencoded", "username=eve&username=bob"),
]:
    status, _, text = request(server, "POST", "/v1/auth/login", body, content_type=kind)
    message = json.loads(text)["error"]["message"]
    check((status, message), (422, "The body has a parameter twice."))

# An image, by a URL with a ticket: an empty body on any refusal.
image = call(server, "image", **session)
check(list(image), ["Success", "Message", "Url"])
status, headers, text = request(server, "GET", image["Url"])
check((status, headers["content-type"], "<svg" in text), (200, "image/svg+xml", True))
check(session["SessionId"] in image["Url"], False)
forged = image["Url"][:-8] + "AAAAAAAA"
urls = ["/images/1", forged, image["Url"].replace("/1?", "/2?")]
urls += [f"/images/1?{name}={session['SessionId']}" for name in ["ticket", "sessionId"]]
for url in urls:
    status, _, text = request(server, "GET", url)
    check((status, text), (403, ""))
check(call(server, "image", **{**session, "DeviceId": "till-2"})["Url"], None)

# A change of the password in the session, and the logout.
change = {"CurrentPassword": "a wrong guess", "NewPassword": "nine dry swans"}
check(call(server, "changePassword", **session, **change)["Success"], False)
change["CurrentPassword"] = PASSWORD
changed = call(server, "changePassword", **session, **change)
like(changed, REPLY)
check(call(server, "verify", **session)["Success"], False)
session["SessionId"] = changed["SessionId"]
check(call(server, "verify", **session)["Success"], True)
image = call(server, "image", **session)
for _ in range(2):
    check(call(server, "logout", **session), {"Success": True, "Message": reply["Message"]})
    check(call(server, "verify", **session)["Success"], False)
check((request(server, "GET", image["Url"])[0], request(server, "GET", image["Url"])[2]), (403, ""))
check(call(server, "image", **session)["Success"], False)

# Every refusal of a login.
swans = {"password": "nine dry swans"}
wrong = "The username or password is wrong"
refused("wrong password", wrong, server, "eve", "a wrong guess")
refused("unknown user", wrong, server, "no-such-user")
refused("user without a password", wrong, server, "robot")
bob = by("", "POST", "/v1/auth/login", account_id=ACCOUNT, username="bob", password=PASSWORD)
token, user = bob["user"]["access_token"], bob["user"]["id"]
secret = by(token, "POST", f"/v1/users/{user}/mfa/start_enrollment")["mfa"]["secret"]
if time.time() % 30 > 28:
    time.sleep(3)
two = {"mfa_code_1": code(secret, -1), "mfa_code_2": code(secret)}
by(token, "POST", f"/v1/users/{user}/mfa/finalize_enrollment", **two)
refused("MFA code required", "A code of the second factor", server, "bob")
refused("MFA enrolment required", "must be set up first", server, "root")
server.change("UPDATE credential SET must_change = 1 WHERE user_id IN"
              " (SELECT id FROM user WHERE username = 'ada')")
flag = "NewPasswordRequired"
refused("new password required", "new password", server, "ada", flag=flag)
new = {"ChangePassword": True, "NewPassword": "short"}
refused("password rejected", "shorter than 8 characters", server, "ada", **new)
new["NewPassword"] = "seven wet geese"
granted(server, "ada", **new)
granted(server, "ada", "seven wet geese")
refused("password change not allowed", "cannot be changed here", server, "eve", **swans, **new)
form = {"username": "dan", "password": PASSWORD}
dan = administer("POST", "/v1/users", **form)["user"]["id"]
for status, message, flag in [
    ("LOCKED", "is locked", "LockedUserAccount"),
    ("DEACTIVATED", "is disabled", None),
    ("PENDING", "not yet active", None),
]:
    administer("PUT", f"/v1/users/{dan}", status=status)
    refused(f"account {message}", message, server, "dan", flag=flag)
for table in ["branch", "organisation"]:
    next_change = "(SELECT seq + 1 FROM sqlite_sequence WHERE name = 'change')"
    ended = f"sessions_ended_seq = {next_change}, tokens_ended_seq = {next_change}"
    server.change(f"UPDATE {table} SET active = 0, {ended}")
    refused(f"{table} disabled", f"{table} is disabled", server, "eve", **swans)
    server.change(f"UPDATE {table} SET active = 1")
refused("administrator required", "administrator", server, "eve", **swans, RequireAdmin=True)
server.change("UPDATE user SET desktop_client_denied = 1 WHERE username = 'eve'")
flag = "DesktopClientDenied"
refused("desktop client denied", "desktop", server, "eve", **swans, DesktopClient=True, flag=flag)
granted(server, "eve", **swans, DesktopClient=False)
flag = "IncompatibleServiceVersion"
refused("API version", "version", server, "eve", **swans, ApiVersionNumber="9.0", flag=flag)
for _ in range(5):
    check(log_in(server, "mallory")["Success"], False)
refused("too many attempts", "Too many attempts", server, "mallory")
# A right password on a known device is asked about nothing of this.
granted(server, "eve", **swans)
assert server.end() == 0

server = Server("--demo", "--keep-sessions", "--hashes", "1")
granted(server, "ada", device="till-1")
refused("device in use", "logged in on this device", server, "bob", device="till-1")
for number in range(2, 11):
    granted(server, "ada", device=f"till-{number}")
refused("too many sessions", "too many sessions", server, "ada", device="till-11")
with ThreadPoolExecutor(120) as threads:
    crowd = threads.map(lambda n: log_in(server, f"crowd-{n}")["Message"], range(120))
check(any("busy" in message for message in crowd), True)
print(f"{'overloaded':32} | {'':26} | The service is busy. Try again in a moment.")
assert server.end() == 0
print(f"{checks} checks")
