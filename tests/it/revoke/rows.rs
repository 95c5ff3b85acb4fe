//! Which rows of the file a call has changed, found by plain SQL.

use rusqlite::Connection;

use crate::world::World;

/// Each write leaves its event there.
const OF_EVERY_WRITE: [&str; 2] = ["audit", "audit_chain"];

/// All rows of the file at one moment.
pub(crate) struct Rows(Connection);

impl Rows {
    pub(crate) fn of(world: &World) -> Self {
        let sql = world.sql();
        for table in tables(&sql) {
            let copy = format!("CREATE TEMP TABLE \"old {table}\" AS SELECT * FROM main.{table}");
            sql.execute_batch(&copy).unwrap();
        }
        Self(sql)
    }

    /// For each table but those of the audit log, how many rows are new (`+`), gone (`-`) and
    /// others than they were (`~`).
    pub(crate) fn changed(&self) -> Vec<String> {
        // Each commit leaves its mark in the row of the store, whatever it changed.
        let mark =
            "UPDATE temp.\"old store\" SET last_group = (SELECT last_group FROM main.store)";
        self.0.execute_batch(mark).unwrap();
        let mut changed = Vec::new();
        for table in tables(&self.0) {
            let count = |one: &str, other: &str| -> i64 {
                let sql = format!(
                    "SELECT count(*) FROM (SELECT * FROM {one} EXCEPT SELECT * FROM {other})"
                );
                self.0.query_row(&sql, [], |row| row.get(0)).unwrap()
            };
            let (old, new) = (format!("temp.\"old {table}\""), format!("main.{table}"));
            let (gone, come) = (count(&old, &new), count(&new, &old));
            let other = gone.min(come);
            for (sign, rows) in [("~", other), ("+", come - other), ("-", gone - other)] {
                if rows > 0 && !OF_EVERY_WRITE.contains(&table.as_str()) {
                    changed.push(format!("{table} {sign}{rows}"));
                }
            }
        }
        changed
    }
}

fn tables(sql: &Connection) -> Vec<String> {
    let of_ours = "SELECT name FROM main.sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut statement = sql.prepare(of_ours).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
