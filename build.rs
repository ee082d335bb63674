//! Hashes the model's sources (decision D-20): results of another model cannot be compared.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn main() {
    let root = Path::new("sim-core/src");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let name = file.components().map(|part| part.as_os_str().to_string_lossy());
        hasher.update(name.collect::<Vec<_>>().join("/").as_bytes());
        // Line ends differ between checkouts; the model does not.
        let text = std::fs::read_to_string(&file).expect("a readable source file");
        hasher.update(text.replace("\r\n", "\n").as_bytes());
    }
    let mut hash = String::new();
    for byte in hasher.finalize().iter().take(8) {
        write!(hash, "{byte:02x}").expect("writing to a string cannot fail");
    }
    println!("cargo::rustc-env=STREAMSIM_MODEL_HASH={hash}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable source folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
