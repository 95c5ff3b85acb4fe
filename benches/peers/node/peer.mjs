// Session checks in JavaScript. The second argument is the form:
//
// - `better-sqlite3`: the least that a session in SQLite can cost there, one prepared SELECT by the
//   key, as in ../rusqlite.
// - `better-auth`: better-auth with its defaults, which read the database for each check.
// - `better-auth-cached`: the same with `session.cookieCache`, whose default `maxAge` is 300 s.
//
// better-auth is called in the process, by `auth.api.getSession`, over better-sqlite3 in WAL mode,
// as its documentation says; the headers of a request are made before the clock starts. While the
// peers are filled, one transaction takes all, and sessions are made by better-auth's own adapter,
// because each sign-in would hash a password.

import { createHmac, randomBytes } from "node:crypto";
import { join } from "node:path";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import Database from "better-sqlite3";

import { serve } from "./protocol.mjs";

const SECRET = "of a benchmark, 32 characters at least";
const COOKIE_CACHE_DEFAULT_S = 300;

const [directory, form] = process.argv.slice(2);
await serve(form === "better-sqlite3" ? select() : await auth(form === "better-auth-cached"));

function select() {
  const database = open("raw.db");
  database.exec(
    `CREATE TABLE IF NOT EXISTS session (
       id BLOB PRIMARY KEY, user BLOB NOT NULL, expires_at INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID`,
  );
  const insert = database.prepare("INSERT INTO session (id, user, expires_at) VALUES (?, ?, ?)");
  const byId = database
    .prepare("SELECT user FROM session WHERE id = ? AND expires_at > ?")
    .pluck();
  const remove = database.prepare("DELETE FROM session WHERE id = ?");
  const user = Buffer.alloc(16, 7);
  const seconds = () => Math.floor(Date.now() / 1_000);
  const create = () => {
    const id = randomBytes(16);
    insert.run(id, user, seconds() + 86_400);
    return id;
  };
  let ids = [];
  return {
    fill: database.transaction((count) => {
      ids = Array.from({ length: count }, create);
    }),
    presented: (number) => Buffer.from(ids[number]),
    load: (presented) => {
      let live = 0;
      for (const id of presented) live += Number(byId.get(id, seconds()) !== undefined);
      return live;
    },
    openOne: () => create().toString("hex"),
    isLive: (token) => byId.get(Buffer.from(token, "hex"), seconds()) !== undefined,
    end: (token) => remove.run(Buffer.from(token, "hex")),
  };
}

async function auth(isCached) {
  const database = open("auth.db");
  const options = {
    database,
    secret: SECRET,
    baseURL: "http://localhost:3000",
    emailAndPassword: { enabled: true },
    ...(isCached && { session: { cookieCache: { enabled: true } } }),
  };
  await (await getMigrations(options)).runMigrations();
  const { api, $context } = betterAuth(options);
  const context = await $context;
  const name = `user-${process.pid}`;
  const user = await context.internalAdapter.createUser({
    name,
    email: `${name}@example.com`,
    emailVerified: true,
  });

  // The cookie that a browser has after a sign-in.
  const signedIn = async () => {
    const { token } = await context.internalAdapter.createSession(user.id);
    const signature = createHmac("sha256", SECRET).update(token).digest("base64");
    const value = encodeURIComponent(`${token}.${signature}`);
    return `${context.authCookies.sessionToken.name}=${value}`;
  };
  // With the cookies that better-auth adds to an answer once the cached one is over.
  const answered = async (cookie) => {
    if (!isCached) return cookie;
    const { headers } = await api.getSession({ headers: request(cookie), returnHeaders: true });
    const set = headers.getSetCookie().map((line) => line.split(";")[0]);
    return [cookie, ...set].join("; ");
  };
  const request = (cookie) => new Headers({ cookie });
  const ofToken = (token) => request(Buffer.from(token, "base64url").toString());

  const sessions = [];
  // Each browser has a cached cookie that is valid: that of an earlier round may be over.
  const cookieOf = async (session) => {
    const isOver = !(Date.now() < session.until);
    if (isOver) {
      session.cookies = await answered(session.cookie);
      session.until = Date.now() + (COOKIE_CACHE_DEFAULT_S * 1_000) / 2;
    }
    return session.cookies;
  };
  return {
    ...(isCached && { allows: COOKIE_CACHE_DEFAULT_S }),
    fill: async (count) => {
      database.exec("BEGIN");
      while (sessions.length < count) sessions.push({ cookie: await signedIn() });
      database.exec("COMMIT");
    },
    presented: async (number) => request(await cookieOf(sessions[number])),
    load: async (presented) => {
      let live = 0;
      for (const headers of presented) live += Number((await api.getSession({ headers })) !== null);
      return live;
    },
    openOne: async () => Buffer.from(await answered(await signedIn())).toString("base64url"),
    isLive: async (token) => (await api.getSession({ headers: ofToken(token) })) !== null,
    end: async (token) => {
      const { success } = await api.signOut({ headers: ofToken(token) });
      if (!success) throw new Error("not signed out");
    },
  };
}

function open(name) {
  const database = new Database(join(directory, name));
  database.pragma("journal_mode = WAL");
  return database;
}
