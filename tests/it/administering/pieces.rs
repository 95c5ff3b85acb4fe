//! Lists of an administrator over several pieces: the same as in one, whatever is outside.

use gatepost::administration::Administration;
use gatepost::directory::{BranchFilter, OrganisationFilter, UserFilter, UserStatus};
use gatepost::{BranchId, NewUser, OrganisationId, Page, UserId};

use crate::world::{World, device};

/// The rows of each place: two of them are more than a piece.
const ROWS: usize = 1_500;

/// Ada administers the organisation North with York and Hull in it, Hull also by itself, and the
/// branch Ely. Leeds is outside.
struct Scene {
    world: World,
    north: OrganisationId,
    inside: [BranchId; 3],
    ada: UserId,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let store = &world.store;
        let [north, south] =
            ["North", "South"].map(|name| store.organisations().create(name).unwrap().id);
        let branch = |name, of| store.branches().create(name, of).unwrap().id;
        let (york, hull) = (branch("York", Some(north)), branch("Hull", Some(north)));
        let (ely, leeds) = (branch("Ely", None), branch("Leeds", Some(south)));
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        for of in [hull.into(), ely.into(), gatepost::Subtree::Organisation(north)] {
            store.users().grant_administration(ada, of).unwrap();
        }
        let sql = world.sql();
        for (name, place) in [("york", york), ("hull", hull), ("ely", ely), ("leeds", leeds)] {
            // Each third one is deleted.
            sql.execute(
                &format!(
                    "INSERT INTO user (id, branch_id, former_branch_id, deleted_at, status, kind,
                         username, username_key, created_at, search_key, audit_salt)
                     WITH RECURSIVE n (i) AS (
                         SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
                     SELECT randomblob(16), iif(i % 3, ?1, NULL), iif(i % 3, NULL, ?1),
                         iif(i % 3, NULL, 1), iif(i % 100, 'active', 'locked'), 'person',
                         '{name}' || i, '{name}' || i, 0, '{name}' || i, zeroblob(16)
                     FROM n"
                ),
                [place.as_uuid().as_bytes()],
            )
            .unwrap();
        }
        Self { world, north, inside: [york, hull, ely], ada }
    }

    fn by_ada(&self) -> Administration {
        let session = self.world.open(self.ada, "till");
        let verdict = self.world.store.verify((&session.token, &device("till"))).unwrap();
        self.world.store.administering(&verdict.valid().unwrap())
    }

    /// The users of the three branches of whom `also` is true, in the order of their ids.
    fn users_inside(&self, also: &str) -> Vec<String> {
        let places = self.inside.map(|place| format!("x'{}'", place.as_uuid().simple()));
        let sql = format!(
            "SELECT username FROM user
             WHERE coalesce(branch_id, former_branch_id) IN ({}) AND {also} ORDER BY id",
            places.join(", ")
        );
        let hand = self.world.sql();
        let mut statement = hand.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

/// All rows, page after page.
fn all<T, K>(list: impl Fn(Option<K>) -> Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut rows: Vec<T> = Vec::new();
    loop {
        let page = list(rows.last().map(&key));
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
        assert!(rows.len() < 20_000, "rows come twice");
    }
}

#[test]
fn the_users_inside_are_the_same_over_several_pieces() {
    let scene = Scene::new();
    let by_ada = scene.by_ada();
    let check = |filter: UserFilter, expect: Vec<String>| {
        let users = by_ada.users();
        let found = all(
            |after: Option<UserId>| {
                let page = after.map_or(Page::first(400), |after| Page::after(after, 400));
                users.list(&filter, page).unwrap()
            },
            |user| user.id,
        );
        let names: Vec<String> = found.into_iter().map(|user| user.username).collect();
        assert_eq!(names, expect, "{filter:?}");
        assert_eq!(users.count(&filter).unwrap(), expect.len() as u64, "{filter:?}");
    };
    let live = scene.users_inside("deleted_at IS NULL");
    assert_eq!(live.len(), ROWS * 2);
    check(UserFilter::new(), live);
    check(UserFilter::new().deleted(), scene.users_inside("deleted_at IS NOT NULL"));
    // Few of each piece.
    let locked = scene.users_inside("deleted_at IS NULL AND status = 'locked'");
    assert_eq!(locked.len(), 30);
    check(UserFilter::new().status(UserStatus::Locked), locked);
    check(UserFilter::new().text("leeds"), Vec::new());
    let of_york =
        format!("deleted_at IS NULL AND branch_id = x'{}'", scene.inside[0].as_uuid().simple());
    check(UserFilter::new().branch(scene.inside[0]), scene.users_inside(&of_york));
}

/// Branches and organisations were read in one snapshot, however many they were.
#[test]
fn the_branches_and_organisations_inside_are_the_same_over_several_pieces() {
    let scene = Scene::new();
    let store = &scene.world.store;
    let root = store.users().create(NewUser::person("root").privilege("admin")).unwrap().id;
    let session = scene.world.open(root, "desk");
    let principal = store.verify((&session.token, &device("desk"))).unwrap().valid().unwrap();
    let (by_ada, by_root) = (scene.by_ada(), store.administering(&principal));
    let before = by_ada.branches().list(&BranchFilter::new(), Page::default()).unwrap();
    assert_eq!(before.len(), 3);
    let sql = scene.world.sql();
    let more = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)";
    for statement in [
        "INSERT INTO branch (id, organisation_id, name, active, created_at)
         SELECT randomblob(16), (SELECT id FROM organisation WHERE name = 'North'), 'North ' || i,
             i % 100 > 0, 0 FROM n",
        "INSERT INTO branch (id, organisation_id, name, active, created_at)
         SELECT randomblob(16), (SELECT id FROM organisation WHERE name = 'South'), 'South ' || i,
             i % 100 > 0, 0 FROM n",
        "INSERT INTO organisation (id, name, active, created_at)
         SELECT randomblob(16), 'East ' || i, i % 100 > 0, 0 FROM n",
    ] {
        sql.execute_batch(&format!("{more} {statement}")).unwrap();
    }
    let branches = |by: &Administration, filter: &BranchFilter| {
        let found = all(
            |after: Option<BranchId>| {
                let page = after.map_or(Page::first(500), |after| Page::after(after, 500));
                by.branches().list(filter, page).unwrap()
            },
            |branch| branch.id,
        );
        assert!(found.is_sorted_by_key(|branch| branch.id));
        assert_eq!(by.branches().count(filter).unwrap(), found.len() as u64);
        found
    };
    let all_of_ada = branches(&by_ada, &BranchFilter::new());
    assert_eq!(all_of_ada.len(), 4_503);
    assert!(before.iter().all(|branch| all_of_ada.contains(branch)));
    assert!(all_of_ada.iter().all(|branch| !branch.name.starts_with("South")));
    assert_eq!(branches(&by_ada, &BranchFilter::new().active(false)).len(), 45);
    let of_north = BranchFilter::new().organisation(scene.north);
    assert_eq!(branches(&by_ada, &of_north).len(), 4_502);
    assert_eq!(branches(&by_root, &BranchFilter::new()).len(), 9_004);
    assert_eq!(branches(&by_root, &BranchFilter::new().active(false)).len(), 90);

    let closed = OrganisationFilter::new().active(false);
    let list = |by: &Administration| by.organisations().list(&closed, Page::first(500)).unwrap();
    assert_eq!((list(&by_ada).len(), list(&by_root).len()), (0, 45));
    let north = by_ada.organisations().list(&OrganisationFilter::new(), Page::default()).unwrap();
    assert_eq!(north.iter().map(|one| one.id).collect::<Vec<_>>(), [scene.north]);

    // No snapshot has more than a piece: 9,004 branches are five, 4,502 organisations three.
    let pieces = |table: &str, call: &dyn Fn()| {
        let (_, statements) = gatepost::testing::statements(call);
        let lists = ["SELECT id, name", "SELECT count(*)"];
        let is_list =
            |sql: &&&str| lists.iter().any(|list| sql.starts_with(list)) && sql.contains(table);
        statements.iter().filter(is_list).count()
    };
    let count = || assert_eq!(by_root.branches().count(&BranchFilter::new()).unwrap(), 9_004);
    assert_eq!(pieces("FROM branch", &count), 5);
    assert_eq!(pieces("FROM organisation", &|| drop(list(&by_root))), 3);
    let count = || assert_eq!(by_ada.branches().count(&BranchFilter::new()).unwrap(), 4_503);
    assert_eq!(pieces("FROM branch", &count), 3);
}
