//! Takes a model out of a zip file, which a wheel is too. Nothing of what the archive
//! names is a path here: the few files that a model is made of go where they belong.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use aimate_core::{Error, Result};
use zip::ZipArchive;

use super::failed;
use super::files::{Unpacked, wanted};

/// Maximum entries of an archive.
const MAX_ENTRIES: usize = 100_000;
/// Folders that say nothing of the model in them.
const GENERIC: [&str; 3] = ["", "model", "models"];

/// Unpacks the model of `archive` into `to`, and returns what it is called there. With
/// several models, `name` says which one.
pub(super) fn unpack(archive: &Path, name: Option<&str>, to: &mut Unpacked<'_>) -> Result<String> {
    let wrong = |why: String| Error::invalid(format!("`{}`: {why}", archive.display()));
    let file = File::open(archive).map_err(|error| failed("read", archive, error))?;
    let no_zip = |error| wrong("it is no zip file and no wheel".to_owned()).with_source(error);
    let mut zip = ZipArchive::new(file).map_err(no_zip)?;
    if zip.len() > MAX_ENTRIES {
        return Err(wrong(format!("it has {} entries; {MAX_ENTRIES} is the most", zip.len())));
    }
    let names: BTreeSet<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let root = root(&names, name).map_err(wrong)?;
    for entry in &names {
        let Some(place) = entry.strip_prefix(&root).and_then(wanted) else { continue };
        let damaged = |error| wrong(format!("`{entry}` cannot be unpacked")).with_source(error);
        to.write(&place, zip.by_name(entry).map_err(damaged)?)?;
    }
    let folder = last(&root);
    if !GENERIC.contains(&folder) {
        return Ok(folder.to_owned());
    }
    let stem = archive.file_stem().unwrap_or_default().to_string_lossy();
    // A wheel is called NAME-VERSION-….
    Ok(stem.split("-").next().unwrap_or_default().to_owned())
}

/// The folder of the one model, with a slash at its end unless it is the top.
fn root(names: &BTreeSet<String>, wanted: Option<&str>) -> std::result::Result<String, String> {
    let has = |folder: &str, file: &str| names.contains(&format!("{folder}{file}"));
    let mut roots = BTreeSet::new();
    for folder in names.iter().filter_map(|name| name.strip_suffix("model.safetensors")) {
        let is_whole = has(folder, "config.json") && has(folder, "tokenizer.json");
        if (folder.is_empty() || folder.ends_with('/')) && is_whole {
            let above = folder.trim_end_matches('/').rfind('/').and_then(|end| folder.get(..=end));
            let above = above.unwrap_or_default();
            roots.insert(if has(above, "modules.json") { above } else { folder });
        }
    }
    let meant: Vec<&str> = match wanted {
        Some(name) if roots.len() > 1 => roots.iter().copied().filter(|root| last(root) == name).collect(),
        _ => roots.iter().copied().collect(),
    };
    match meant.as_slice() {
        [root] => Ok((*root).to_owned()),
        [] if roots.is_empty() => {
            Err("no folder in it has model.safetensors, config.json and tokenizer.json".to_owned())
        }
        _ => {
            let names: Vec<&str> = roots.iter().map(|root| last(root)).collect();
            Err(format!("it has several models; name one of {}", names.join(", ")))
        }
    }
}

/// The last part of a folder.
fn last(folder: &str) -> &str {
    folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}
