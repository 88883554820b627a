//! Writes the list of the sample projects' files, so that an installed binary carries them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("../examples/projects");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    if folder.is_dir() {
        collect(&folder, &mut files);
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&folder).expect("below the folder").to_string_lossy();
        println!("cargo::rerun-if-changed={}", file.display());
        let absolute = file.canonicalize().expect("it was just listed");
        list.push_str(&format!("    ({name:?}, include_str!({absolute:?})),\n"));
    }
    list.push_str("]\n");
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("projects.rs");
    fs::write(out, list).expect("the build folder is writable");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("a folder of the repository").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_build_output = matches!(&*name, "target" | "__pycache__" | "Cargo.lock");
        if is_build_output || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
