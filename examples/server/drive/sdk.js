// Drives the client of TrueVault (npm `truevault`, unchanged) against the example server, in Node
// and as its browser build in a page. `sdk.py` installs the client, calls each part, and computes
// the codes of authenticators.
"use strict";

const counts = { checks: 0 };
const rows = [];
let status; // Of the last answer: the client does not show it.
let here, admin, ids, bob, ada, hal;

const plain = globalThis.fetch;
globalThis.fetch = async (...request) => {
    const answer = await plain(...request);
    status = answer.status;
    return answer;
};

function check(found, expected) {
    counts.checks += 1;
    const [one, other] = [found, expected].map((value) => JSON.stringify(value));
    if (one !== other) throw new Error(`${one}, not ${other}`);
}

// A row of the table.
function row(method, result) {
    rows.push([method, result]);
}

// The call is refused, in the shape that the client makes an error of.
async function refused(call, code, type) {
    const error = await call().then(
        (value) => { throw new Error(`done: ${JSON.stringify(value)}, not ${type}`); },
        (error) => error,
    );
    if (!error.error) throw error;
    check([status, error.error.type, error.error.code], [code, type, type]);
    check(/^[A-Z].*\.$/.test(error.message), true);
    check(/^[0-9a-f-]{36}$/.test(error.transaction_id), true);
    return error.message;
}

const client = (credential) => new TrueVaultClient(credential, here.host);
const byToken = (accessToken) => client({ accessToken });
const logIn = (name, { password = here.password, code, until } = {}) =>
    TrueVaultClient.login(here.account, name, password, code, here.host, until);
const named = (users) => Object.fromEntries(users.map((user) => [user.username, user.id]));

// The answer of the second server to the credential of a client.
async function second(header, options = {}) {
    const answer = await fetch(here.guest, { headers: { Authorization: header }, ...options });
    return [answer.status, await answer.text()];
}

const parts = {
    async start(given) {
        here = given;
        admin = client({ apiKey: here.key });
        ids = named(await admin.listUsers());
    },

    async session() {
        bob = await logIn("bob");
        check(bob.accessToken.startsWith("gps_"), true);
        check(bob.authHeader, "Basic " + btoa(bob.accessToken + ":"));
        check((await TrueVaultClient.generateAccessToken(
            here.account, "bob", here.password, undefined, here.host)).startsWith("gps_"), true);
        row("login", "a client with an access token");
        row("generateAccessToken", "an access token");
        let message = await refused(
            () => logIn("bob", { password: "a wrong guess" }), 401, "AUTH.INVALID_CREDENTIALS");
        row("login, wrong password", message);
        await refused(() => logIn("no-such-user"), 401, "AUTH.INVALID_CREDENTIALS");
        const elsewhere = { ...here, account: ids.bob };
        await refused(() => TrueVaultClient.login(
            elsewhere.account, "bob", here.password, undefined, here.host),
            404, "REQUEST.NO_SUCH_ACCOUNT");
        const past = new Date(Date.now() - 1000);
        await refused(() => logIn("bob", { until: past }), 422, "REQUEST.INVALID");

        const me = await bob.readCurrentUser(false);
        check([me.account_id, me.username], [here.account, "bob"]);
        check([me.id, me.user_id], [ids.bob, ids.bob]);
        check([me.status, me.mfa_enrolled, me.attributes], ["ACTIVATED", false, undefined]);
        check((await bob.readCurrentUser()).attributes, {});
        row("readCurrentUser", "the caller");
        const changed = await bob.updateCurrentUser({ city: "Orléans" });
        check(changed.attributes, { city: "Orléans" });
        check((await bob.readCurrentUser()).attributes, { city: "Orléans" });
        check((await bob.updateCurrentUser(null)).attributes, null);
        row("updateCurrentUser", "the caller's attributes changed");
        message = await refused(() => client(null).readCurrentUser(), 401, "AUTH.SIGN_IN");
        row("readCurrentUser, no credential", message);
        await refused(() => client({ apiKey: "gpk_forged" }).readCurrentUser(),
            401, "AUTH.INVALID_TOKEN");
    },

    // The example of the manual, as text.
    async example({ text }) {
        const Example = (async () => {}).constructor;
        const names = ["TrueVaultClient", "ACCOUNT", "password", "code"];
        const run = new Example(...names, text + "return me;");
        check((await run(TrueVaultClient, here.account, here.password)).id, ids.bob);
    },

    async logout() {
        const other = await logIn("bob");
        const [header, token] = [other.authHeader, other.accessToken];
        const user = `You are user ${ids.bob}:`;
        check((await second(header))[0], 200);
        const [code, text] = await second(header, { method: "POST", body: "5" });
        check([code, text], [200, `${user} 1 measurements, sum 5.\n`]);
        check((await second(header, { method: "POST", body: ids.ada }))[0], 422);
        for (let number = 1; number < 100; number++) {
            check((await second(header, { method: "POST", body: "0" }))[0], 200);
        }
        check((await second(header, { method: "POST", body: "0" }))[0], 409);
        const logout = await other.logout();
        // The very next request of the second server.
        const [after, sentence] = await second(header);
        check([after, sentence], [401, "Sign in at the first server.\n"]);
        row("logout", "the user; the second server's next request is answered 401");
        check([logout.id, other.authHeader], [ids.bob, null]);
        let message = await refused(
            () => byToken(token).readCurrentUser(), 401, "AUTH.INVALID_TOKEN");
        row("readCurrentUser, token logged out", message);
        await refused(() => byToken(token).logout(), 401, "AUTH.INVALID_TOKEN");
        check((await second(bob.authHeader))[1], `${user} 100 measurements, sum 5.\n`);
        await refused(() => admin.logout(), 422, "REQUEST.INVALID");

        const short = await logIn("bob", { until: new Date(Date.now() + 3000) });
        check((await short.readCurrentUser()).id, ids.bob);
        check((await second(short.authHeader))[0], 200);
        await new Promise((done) => setTimeout(done, 3100));
        check((await second(short.authHeader))[0], 401);
        message = await refused(() => short.readCurrentUser(), 401, "AUTH.INVALID_TOKEN");
        row("readCurrentUser, token expired", message);
    },

    async users() {
        const attributes = { city: "Orléans", size: 3 };
        const dan = await admin.createUser("dan", here.password, attributes, [], undefined);
        check([dan.username, dan.status, dan.attributes], ["dan", "ACTIVATED", undefined]);
        const fay = await admin.createUser("fay", here.password, {}, [], "PENDING");
        check(fay.status, "PENDING");
        row("createUser", "the new user, in any status");
        await refused(() => admin.createUser("DAN", here.password), 409, "REQUEST.TAKEN");
        let message = await refused(
            () => admin.createUser("gil", "short"), 422, "REQUEST.PASSWORD_REJECTED");
        row("createUser, weak password", message);
        await refused(() => admin.createUser("gil", here.password, {}, [ids.ada]),
            422, "REQUEST.INVALID");

        const all = await admin.listUsers();
        check(["dan", "fay", "robot", "root"].every((name) => named(all)[name]), true);
        check(all.some((user) => user.attributes), false);
        const full = (await admin.listUsers(true)).find((user) => user.id === dan.id);
        check([full.attributes, full.group_ids], [attributes, []]);
        row("listUsers", `${all.length} users`);
        check(Object.keys(named(await admin.listUsersWithStatus("PENDING"))), ["fay"]);
        await refused(() => admin.listUsersWithStatus("ASLEEP"), 422, "REQUEST.INVALID");
        row("listUsersWithStatus", "the users of the status");
        check((await admin.readUser(dan.id)).attributes, attributes);
        row("readUser", "the user");
        const both = await admin.readUsers([fay.id, dan.id]);
        check(both.map((user) => user.id), [fay.id, dan.id]);
        row("readUsers", "the users, in the order of the ids");
        await refused(() => admin.readUsers([dan.id, here.account]), 404, "REQUEST.NOT_FOUND");
        await refused(() => admin.readUser("dan"), 404, "REQUEST.NOT_FOUND");

        check((await admin.updateUserAttributes(dan.id, { city: "Nîmes" })).id, dan.id);
        check((await admin.readUser(dan.id)).attributes, { city: "Nîmes" });
        row("updateUserAttributes", "the user");
        check((await admin.updateUserUsername(dan.id, "daniel")).username, "daniel");
        row("updateUserUsername", "the user");
        const old = await logIn("daniel");
        check((await admin.updateUserPassword(dan.id, "seven wet geese")).id, dan.id);
        await refused(() => old.readCurrentUser(), 401, "AUTH.INVALID_TOKEN");
        await refused(() => logIn("daniel"), 401, "AUTH.INVALID_CREDENTIALS");
        const password = "seven wet geese";
        check((await (await logIn("daniel", { password })).readCurrentUser()).id, dan.id);
        row("updateUserPassword", "the user, whose sessions are revoked");
        for (const [word, type] of [["LOCKED", "ACCOUNT_LOCKED"], ["PENDING", "ACCOUNT_PENDING"],
            ["DEACTIVATED", "ACCOUNT_DISABLED"]]) {
            check((await admin.updateUserStatus(dan.id, word)).status, word);
            await refused(() => logIn("daniel", { password }), 403, `REQUEST.${type}`);
        }
        check((await admin.updateUserStatus(dan.id, "ACTIVATED")).status, "ACTIVATED");
        await logIn("daniel", { password });
        row("updateUserStatus", "the user, who logs in in the status ACTIVATED alone");
        const { status: ended } = await admin.deleteUser(fay.id);
        check(ended, "DEACTIVATED");
        await refused(() => admin.readUser(fay.id), 404, "REQUEST.NOT_FOUND");
        await refused(() => admin.deleteUser(fay.id), 404, "REQUEST.NOT_FOUND");
        row("deleteUser", "the user, who is found no longer");
    },

    async credentials() {
        const key = await admin.createUserApiKey(ids.eve);
        check((await client({ apiKey: key }).readCurrentUser()).id, ids.eve);
        const next = await admin.createUserApiKey(ids.eve);
        check((await client({ apiKey: next }).readCurrentUser()).id, ids.eve);
        await refused(() => client({ apiKey: key }).readCurrentUser(), 401, "AUTH.INVALID_TOKEN");
        row("createUserApiKey", "a key, which replaces the one before");
        const own = await bob.createUserApiKey(ids.bob);
        const program = client({ apiKey: own });
        check((await program.readCurrentUser()).id, ids.bob);
        await refused(() => program.createUserApiKey(ids.bob), 403, "REQUEST.STEP_UP_REQUIRED");

        const token = byToken(await admin.createUserAccessToken(ids.eve));
        check((await token.readCurrentUser()).id, ids.eve);
        const until = new Date(Date.now() - 1000);
        await refused(() => admin.createUserAccessToken(ids.eve, until), 422, "REQUEST.INVALID");
        row("createUserAccessToken", "an access token of the user");
        const message = await refused(
            () => admin.createUserAccessToken(ids.root), 403, "REQUEST.NOT_PERMITTED");
        row("createUserAccessToken, administrator", message);
        await refused(() => admin.createUserAccessToken(ids.robot), 403, "REQUEST.NOT_PERMITTED");
    },

    // What a user may do who administers nothing, and one who administers a branch.
    async rights() {
        check(await bob.listUsers(), []);
        check((await bob.readUser(ids.bob)).username, "bob");
        await refused(() => bob.readUser(ids.ada), 404, "REQUEST.NOT_FOUND");
        await refused(() => bob.createUser("gil", here.password), 404, "REQUEST.NOT_FOUND");
        for (const call of ["deleteUser", "createUserApiKey"]) {
            await refused(() => bob[call](ids.ada), 404, "REQUEST.NOT_FOUND");
        }
        await refused(() => bob.createUserAccessToken(ids.ada), 403, "REQUEST.NOT_PERMITTED");
        await refused(() => bob.updateUserPassword(ids.ada, "seven wet geese"),
            404, "REQUEST.NOT_FOUND");
        await refused(() => bob.updateUserPassword(ids.bob, "seven wet geese"),
            403, "REQUEST.OWN_USER");
        check((await bob.updateUserAttributes(ids.bob, { size: 4 })).id, ids.bob);
        check((await bob.readCurrentUser()).attributes, { size: 4 });

        const carol = await logIn("carol");
        const inside = named(await carol.listUsers());
        check([Boolean(inside.ada), inside.root, inside.daniel], [true, undefined, undefined]);
        const gil = await carol.createUser("gil", here.password);
        check(named(await carol.listUsers()).gil, gil.id);
        await refused(() => carol.readUser(ids.root), 404, "REQUEST.NOT_FOUND");
        await refused(() => carol.updateUserStatus(ids.robot, "LOCKED"), 404, "REQUEST.NOT_FOUND");
        await refused(() => carol.createUserAccessToken(ids.ada), 403, "REQUEST.NOT_PERMITTED");
        await refused(() => carol.updateUserStatus(ids.carol, "LOCKED"), 403, "REQUEST.OWN_USER");
        await refused(() => carol.deleteUser(ids.carol), 403, "REQUEST.FORBIDDEN");
        await refused(() => logIn("root"), 401, "AUTH.MFA_ENROLMENT_REQUIRED");
    },

    // Returns the secrets of the authenticators of two users, each of whom needs one later code.
    async enrol() {
        ids.hal = (await admin.createUser("hal", here.password)).id;
        hal = await logIn("hal");
        const other = await hal.startUserMfaEnrollment(ids.hal, "True Do");
        ada = await logIn("ada");
        const mfa = await ada.startUserMfaEnrollment(ids.ada, "True Do");
        check([mfa.uri.startsWith("otpauth://totp/"), mfa.uri.includes(mfa.secret)], [true, true]);
        check(mfa.qr_code_svg.startsWith("<svg"), true);
        row("startUserMfaEnrollment", "secret, URI and QR code");
        const message = await refused(
            () => admin.startUserMfaEnrollment(ids.ada, "True Do"), 403, "REQUEST.NOT_PERMITTED");
        row("startUserMfaEnrollment, another user", message);
        await refused(() => client({ apiKey: here.key }).startUserMfaEnrollment(ids.robot, "x"),
            401, "AUTH.INVALID_TOKEN");
        return [mfa.secret, other.secret];
    },

    async confirm({ codes: [[first, second], ofHal] }) {
        check(await hal.finalizeMfaEnrollment(ids.hal, ...ofHal), undefined);
        await refused(() => ada.finalizeMfaEnrollment(ids.ada, "000000", "111111"),
            403, "REQUEST.WRONG_PASSWORD_OR_CODE");
        check(await ada.finalizeMfaEnrollment(ids.ada, first, second), undefined);
        check((await ada.readCurrentUser()).mfa_enrolled, true);
        row("finalizeMfaEnrollment", "the second factor is in force");
        let message = await refused(() => logIn("ada"), 401, "USER.MFA_CODE_REQUIRED");
        row("login, no MFA code", message);
        message = await refused(
            () => logIn("ada", { code: "000000" }), 401, "AUTH.INVALID_CREDENTIALS");
        row("login, wrong MFA code", message);
        await refused(() => admin.createUserAccessToken(ids.ada), 403, "USER.MFA_CODE_REQUIRED");
    },

    async coded({ code }) {
        check((await (await logIn("ada", { code })).readCurrentUser()).id, ids.ada);
        row("login, MFA code", "a client with an access token");
        await refused(() => logIn("ada", { code }), 401, "AUTH.INVALID_CREDENTIALS");
    },

    async unenrol({ code }) {
        await refused(() => hal.unenrollMfa(ids.hal, "000000", here.password),
            403, "REQUEST.WRONG_PASSWORD_OR_CODE");
        check(await hal.unenrollMfa(ids.hal, code, here.password), undefined);
        check((await (await logIn("hal")).readCurrentUser()).mfa_enrolled, false);
        row("unenrollMfa", "the second factor is removed");
    },

    async reset() {
        const flows = await admin.listPasswordResetFlows();
        check(flows.length, 1);
        row("listPasswordResetFlows", "the one flow of the server");
        const page = client(null);
        check(await page.sendPasswordResetEmail(flows[0].id, "eve@example.com"), undefined);
        check(await page.sendPasswordResetEmail(flows[0].id, "no-such-user"), undefined);
        row("sendPasswordResetEmail", "the server sends the mail");
        await refused(() => page.sendPasswordResetEmail(ids.eve, "eve"), 404, "REQUEST.NOT_FOUND");
    },

    async redeem({ token }) {
        const password = "nine dry swans";
        const link = client({ httpBasic: btoa(token + ":") });
        await refused(() => link.updateUserStatus(ids.eve, "LOCKED"), 403, "REQUEST.NOT_PERMITTED");
        await refused(() => link.readCurrentUser(), 401, "AUTH.INVALID_TOKEN");
        await refused(() => link.updateUserPassword(ids.eve, "short"),
            422, "REQUEST.PASSWORD_REJECTED");
        check((await link.updateUserPassword(ids.eve, password)).id, ids.eve);
        check((await (await logIn("eve", { password })).readCurrentUser()).id, ids.eve);
        row("updateUserPassword, link of a mail", "the user, whose sessions are revoked");
        const message = await refused(
            () => link.updateUserPassword(ids.eve, password), 401, "AUTH.INVALID_TOKEN");
        row("updateUserPassword, link used", message);
    },

    // Every other method of the client: 404 with a sentence. Returns how many.
    async others() {
        const served = new Set(rows.map(([method]) => method.split(",")[0]));
        const inner = ["constructor", "accessToken", "authHeader", "performLegacyRequest",
            "performJSONRequest", "performLegacyRequestWithProgress"];
        const all = Object.getOwnPropertyNames(TrueVaultClient.prototype);
        const others = all.filter((name) => !served.has(name) && !inner.includes(name));
        for (const method of others) {
            const byXhr = method.endsWith("WithProgress");
            if (byXhr && typeof XMLHttpRequest === "undefined") {
                row(method, "for browsers alone");
                continue;
            }
            // A list is whatever the method makes of it: a text, a list or a document.
            const given = [["x"], ["y"], ["z"], ["w"], ["v"]];
            // From here on its arguments are what it calls with the progress.
            if (byXhr) given.fill(() => {}, method.startsWith("update") ? 3 : 2);
            if (method === "createScopedAccessToken") given.splice(2);
            row(method, await notServed(() => admin[method](...given), byXhr));
        }
        const statics = Object.getOwnPropertyNames(TrueVaultClient)
            .filter((name) => typeof TrueVaultClient[name] === "function" && !name.startsWith("_"));
        check(statics.filter((name) => !served.has(name)), []);
        return others.length;
    },

    async rows() {
        return { rows, ...counts };
    },
};

// The sentence of the answer. Two methods show the body of any answer as a blob.
async function notServed(call, byXhr) {
    status = undefined;
    const found = await call().then(
        async ({ blob }) => JSON.parse(await blob.text()).error,
        (error) => { if (error.error) return error.error; throw error; },
    );
    check([found.type, byXhr ? 404 : status], ["REQUEST.NOT_SERVED", 404]);
    check(/^This call is not served here: .*\.$/.test(found.message), true);
    return `404: ${found.message}`;
}

globalThis.parts = parts;

if (typeof window === "undefined") {
    globalThis.TrueVaultClient = require(process.argv[2]);
    const lines = require("readline").createInterface({ input: process.stdin });
    lines.on("line", (line) => {
        const { part, given } = JSON.parse(line);
        const answer = (value) => console.log(JSON.stringify(value));
        parts[part](given).then(
            (value) => answer({ value: value ?? null }),
            (error) => answer({ error: error.stack }),
        );
    });
}
