//! What the quickstart prints: sections, tables, and the file seen from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn section(title: &str) {
    println!("\n== {title}\n");
}

/// Columns as wide as their widest cell.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_owned), heads.map(|head| "-".repeat(head.len()))] }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) {
        let mut widths = [0; N];
        for row in &self.rows {
            for (wide, cell) in widths.iter_mut().zip(row) {
                *wide = columns(cell).max(*wide);
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for (wide, cell) in widths.iter().zip(row) {
                line += cell;
                line += &" ".repeat(2 + wide - columns(cell));
            }
            println!("{}", line.trim_end());
        }
    }
}

/// Chinese and Japanese letters take two columns of a terminal.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if ('\u{2e80}'..='\u{ffdc}').contains(&c) { 2 } else { 1 }).sum()
}

/// Each table of a closed store and its number of rows, by plain SQL.
pub(crate) fn print_tables(path: &Path) -> Result<()> {
    let file = rusqlite::Connection::open(path)?;
    let mut names = file.prepare(
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let names =
        names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut table = Table::new(["table", "rows"]);
    for name in names {
        let count = format!("SELECT count(*) FROM \"{name}\"");
        let rows: i64 = file.query_row(&count, [], |row| row.get(0))?;
        table.row([name, rows.to_string()]);
    }
    table.print();
    Ok(())
}

/// Each file of the store with its size and mode.
pub(crate) fn print_files(path: &Path) -> Result<()> {
    for file in files_beside(path)? {
        let metadata = fs::metadata(&file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mode = metadata.permissions().mode() & 0o777;
        println!("{name}: {} KiB, mode {mode:o}", metadata.len() / 1024);
    }
    Ok(())
}

/// How many of the texts occur in any file of a closed store.
pub(crate) fn found_beside(path: &Path, texts: &[String]) -> Result<usize> {
    let mut found = 0;
    for file in files_beside(path)? {
        let bytes = fs::read(&file)?;
        let is_in = |text: &&String| bytes.windows(text.len()).any(|some| some == text.as_bytes());
        found += texts.iter().filter(is_in).count();
    }
    Ok(found)
}

fn files_beside(path: &Path) -> Result<Vec<PathBuf>> {
    let directory = path.parent().ok_or("the file is in no directory")?;
    let mut files = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
