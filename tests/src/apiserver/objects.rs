//! Objects from text and from files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// Reads the objects of a text in YAML or JSON, with `---` in between, or in lists.
///
/// # Errors
/// When it is not YAML.
pub fn read_objects(text: &str) -> Result<Vec<Value>, serde_saphyr::Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let documents = documents.into_iter().filter(|document| !document.is_null());
    Ok(documents
        .flat_map(|mut document| match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => vec![document],
        })
        .collect())
}

/// Reads the objects of files, and of the files `*.yaml`, `*.yml` and `*.json` in directories.
///
/// # Errors
/// When something cannot be read, with its path.
pub fn read_paths(paths: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    for path in paths {
        for file in files(path).with_context(|| format!("list {}", path.display()))? {
            let read = || anyhow::Ok(read_objects(&fs::read_to_string(&file)?)?);
            objects
                .extend(read().with_context(|| format!("read objects from {}", file.display()))?);
        }
    }
    Ok(objects)
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?;
    let is_objects = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "yml" | "json"))
    };
    files.retain(is_objects);
    files.sort();
    Ok(files)
}
