//! The pictures of the manual: each `manual/pictures/NAME.svg` is drawn from `NAME.txt` beside it.
//!
//! The tests draw each picture again, look for text that is cut or covered, and compare what a
//! picture names with the source of the facts. `pictures/draw.rs` says what a line of the text is.

mod draw;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use draw::{Picture, Rect};

const FOLDER: &str = "manual/pictures";

#[test]
fn each_picture_is_drawn_from_its_text() {
    let mut copies = Vec::new();
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    fs::create_dir_all(&new).unwrap();
    for (name, source) in sources() {
        let svg = Picture::read(&source).unwrap().svg(&name);
        assert!(!svg.contains("\n\n"), "{name}: an empty line ends HTML in Markdown");
        let kept = format!("{FOLDER}/{name}.svg");
        if fs::read_to_string(root().join(&kept)).unwrap_or_default() != svg {
            let drawn = new.join(format!("{name}.svg"));
            fs::write(&drawn, svg).unwrap();
            copies.push(format!("cp {} {kept}", drawn.display()));
        }
    }
    assert!(copies.is_empty(), "look at the new pictures, then\n{}\n", copies.join("\n"));
}

#[test]
fn each_picture_has_its_text() {
    let with = |end: &str| -> BTreeSet<String> {
        names(FOLDER).filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect()
    };
    assert_eq!(with(".txt"), with(".svg"));
}

#[test]
fn no_text_is_cut_or_covered() {
    let mut found = Vec::new();
    for (name, source) in sources() {
        let picture = Picture::read(&source).unwrap();
        found.extend(collisions(&picture).iter().map(|finding| format!("{name}: {finding}")));
        assert!(!picture.title.is_empty() && !picture.desc.is_empty(), "{name}");
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_login_has_every_refusal() {
    let page = read("manual/errors.md");
    let rows = page.split("# Why can a login be refused?").nth(1).unwrap().lines();
    let refusals: Vec<_> =
        rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`')).map(|(r, _)| r).collect();
    assert_eq!(refusals.len(), 22);
    has_each("login", refusals);
}

#[test]
fn the_tables_are_those_of_the_schema() {
    let (schema, source) = (read("src/storage/schema.sql"), read("manual/pictures/tables.txt"));
    let picture = Picture::read(&source).unwrap();
    let mut tables = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for table in schema.split("\nCREATE TABLE ").skip(1) {
        let (table, _) = table.split_once("\n)").unwrap();
        let (name, columns) = table.split_once(" (").unwrap();
        tables.insert(name);
        let named = columns.split(" REFERENCES ").skip(1);
        let named = named.map(|to| to.split(' ').next().unwrap());
        // No arrow leads from a table to itself.
        keys.extend(named.filter(|to| *to != name).map(|to| (name, to)));
    }
    let drawn = picture.boxes.iter().filter(|(_, shape)| !shape.is_frame);
    assert_eq!(tables, drawn.map(|(name, _)| name.as_str()).collect());
    let arrows = picture.arrows.iter().map(|arrow| (arrow.from.as_str(), arrow.to.as_str()));
    assert_eq!(keys, arrows.collect());
}

#[test]
fn the_floors_have_every_module() {
    let files: Vec<String> = names("src").collect();
    let modules = files.iter().map(|file| file.trim_end_matches(".rs"));
    has_each("floors", modules.filter(|module| *module != "lib"));
}

#[track_caller]
fn has_each<'w>(picture: &str, words: impl IntoIterator<Item = &'w str>) {
    let source = read(&format!("{FOLDER}/{picture}.txt"));
    let named: BTreeSet<&str> = source.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing: Vec<&str> = words.into_iter().filter(|word| !named.contains(word)).collect();
    assert_eq!(missing, [""; 0], "{picture}.txt lacks these");
}

/// How wide a line of text is in DejaVu Sans, the widest of the usual fonts, at 13 pixels.
fn text_width(text: &str, is_bold: bool) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '\'' => 0.28,
        ' ' | '.' | ',' | ':' | ';' | '|' | '/' | 'I' => 0.34,
        'f' | 'r' | 't' | '(' | ')' | '-' => 0.41,
        'm' | 'M' | 'W' | 'w' => 0.92,
        _ if c.is_uppercase() || c == '_' => 0.70,
        _ => 0.62,
    };
    13.0 * if is_bold { 1.1 } else { 1.0 } * text.chars().map(em).sum::<f64>()
}

/// What lies over what, or out of its bounds.
fn collisions(picture: &Picture) -> Vec<String> {
    let mut found = Vec::new();
    let [width, height] = picture.size;
    let card = [6.0, 6.0, width - 6.0, height - 6.0];
    for (at, text) in picture.texts.iter().enumerate() {
        let (place, bounds) = (text.place(), text.inside.unwrap_or(card));
        if !lies_in(place, [bounds[0], bounds[1], bounds[2] - 4.0, bounds[3]]) {
            let missing = (place[2] - bounds[2] + 4.0).ceil();
            found.push(format!("{:?} is cut ({missing} too wide)", text.text));
        }
        for other in &picture.texts[..at] {
            if meet(place, other.place()) {
                found.push(format!("{:?} covers {:?}", text.text, other.text));
            }
        }
        for arrow in &picture.arrows {
            for ends in arrow.points.windows(2) {
                let line = [0, 1].map(|axis| ends[0][axis].min(ends[1][axis]));
                let end = [0, 1].map(|axis| ends[0][axis].max(ends[1][axis]));
                if meet(place, [line[0] - 2.0, line[1] - 2.0, end[0] + 2.0, end[1] + 2.0]) {
                    found.push(format!("{} to {} crosses {:?}", arrow.from, arrow.to, text.text));
                }
            }
        }
        for (name, shape) in &picture.boxes {
            let is_foreign = !shape.is_frame && text.inside != Some(shape.place);
            if is_foreign && meet(place, shape.place) {
                found.push(format!("{:?} lies over {name}", text.text));
            }
        }
    }
    let solid: Vec<_> = picture.boxes.iter().filter(|(_, shape)| !shape.is_frame).collect();
    for (at, (name, shape)) in solid.iter().enumerate() {
        if !lies_in(shape.place, card) {
            found.push(format!("{name} is cut"));
        }
        for (other, under) in &solid[..at] {
            if meet(shape.place, under.place) {
                found.push(format!("{name} lies over {other}"));
            }
        }
    }
    found
}

fn lies_in(inner: Rect, outer: Rect) -> bool {
    inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3]
}

fn meet(a: Rect, b: Rect) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

fn sources() -> Vec<(String, String)> {
    let texts = names(FOLDER).filter_map(|name| Some(name.strip_suffix(".txt")?.to_owned()));
    let sources: Vec<_> =
        texts.map(|name| (name.clone(), read(&format!("{FOLDER}/{name}.txt")))).collect();
    assert!(!sources.is_empty());
    sources
}

fn names(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_fault_in_a_picture_is_found() {
    #[track_caller]
    fn check(lines: &str, expect: &[&str]) {
        let picture = Picture::read(&format!("title T\nsize 300x200\n{lines}")).unwrap();
        assert_eq!(collisions(&picture), expect);
    }
    let two = "box a 10,50 100x40 blue | A\nbox b 10,140 100x40 red | B\n";
    check(&format!("{two}arrow a b | up"), &[]);
    check(&format!("{two}box c 60,70 20x20 red"), &["c lies over a"]);
    check(&format!("{two}box c 290,70 20x20 red"), &["c is cut"]);
    check(&format!("{two}note 50,170 | on it"), &["\"on it\" lies over b"]);
    check(&format!("{two}arrow a b\nnote 50,115 | across"), &["a to b crosses \"across\""]);
    check("note 20,60 | one\nnote 25,62 | two", &["\"two\" covers \"one\""]);
    check("box a 10,50 30x40 blue | too long", &["\"too long\" is cut (38 too wide)"]);
    assert_eq!(Picture::read("box a 1,1 2x2 pink").unwrap_err(), "line 1: box a 1,1 2x2 pink");
    assert_eq!(Picture::read("arrow a b").unwrap_err(), "line 1: arrow a b");
}
