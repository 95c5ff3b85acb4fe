/// <reference path="../pb_data/types.d.ts" />

// What the driver asks of PocketBase. Each session is a user of its own: PocketBase keeps no
// sessions, and revokes the tokens of a user by a new token key.

// One user without a password in each row, by one statement; answers their tokens.
routerAdd("POST", "/peer/fill/{count}", (e) => {
  const count = parseInt(e.request.pathValue("count"));
  const collection = $app.findCollectionByNameOrId("users");
  $app
    .db()
    .newQuery(
      `WITH RECURSIVE row(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < {:count})
       INSERT INTO users (id, email, tokenKey, password, verified)
       SELECT lower(hex(randomblob(7))) || 'x', 'user' || n || '@example.com',
           lower(hex(randomblob(25))), '', TRUE FROM row`,
    )
    .bind({ count })
    .execute();
  const tokens = [];
  for (let last = ""; tokens.length < count; ) {
    const users = $app.findRecordsByFilter("users", "id > {:last}", "id", 1000, 0, { last });
    for (const user of users) tokens.push(user.newAuthToken());
    last = users[users.length - 1].id;
  }
  return e.string(200, tokens.join("\n"));
});

routerAdd("POST", "/peer/open", (e) => {
  const user = new Record($app.findCollectionByNameOrId("users"));
  user.setEmail(`${$security.randomString(20)}@example.com`);
  user.setRandomPassword();
  $app.save(user);
  return e.string(200, user.newAuthToken());
});

routerAdd(
  "POST",
  "/peer/end",
  (e) => {
    e.auth.refreshTokenKey();
    $app.save(e.auth);
    return e.noContent(204);
  },
  $apis.requireAuth(),
);

// One check over HTTP: the middleware answers 401 unless the token is valid.
routerAdd("GET", "/peer/check", (e) => e.noContent(204), $apis.requireAuth());

// As many checks as the body has lines, by PocketBase's own call in its own process.
routerAdd("POST", "/peer/checks", (e) => {
  let live = 0;
  for (const token of toString(e.request.body).split("\n")) {
    try {
      $app.findAuthRecordByToken(token, "auth");
      live++;
    } catch (_) {
      // Not valid.
    }
  }
  return e.string(200, String(live));
});
