//! What is saved, edited, moved and removed shows in the next answer.

use std::fs;

use fovea_api::{Answer, ErrorCode, Method};

use crate::support::Repository;

#[test]
fn a_save_is_seen_after_sync() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let engine = repository.open();
    for round in 0..20 {
        let name = format!("round_{round}");
        repository.write("a.py", format!("def {name}(): pass\n"));
        repository.write(&format!("new/{round}/b.py"), "def b(): pass\n");
        let status = engine.sync();
        assert_eq!(engine.symbols("a.py").expect("indexed"), [name]);
        assert_eq!(engine.symbols(&format!("new/{round}/b.py")).expect("indexed"), ["b"]);
        assert_eq!(status.n_pending, 0, "{status:?}");
    }
    assert_eq!(engine.sync().watching, "events");
}

#[test]
fn a_save_is_seen_without_asking_for_it() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let engine = repository.open();
    repository.write("a.py", "def two(): pass\n");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while engine.symbols("a.py").expect("indexed") != ["two"] {
        assert!(std::time::Instant::now() < deadline, "the watcher told nothing");
        std::thread::yield_now();
    }
}

#[test]
fn a_same_size_same_time_edit_is_found() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let engine = repository.open();
    let path = repository.root.join("a.py");
    let modified = fs::metadata(&path).expect("there").modified().expect("known");
    repository.write("a.py", "def two(): pass\n");
    fs::File::options()
        .write(true)
        .open(&path)
        .expect("opens")
        .set_modified(modified)
        .expect("set");
    engine.sync();
    assert_eq!(engine.symbols("a.py").expect("indexed"), ["two"]);
}

#[test]
fn removed_moved_and_ignored_files_disappear() {
    let repository = Repository::new("//- /a/x.py\nx = 1\n//- /b/y.py\ny = 1\n//- /c.py\nz = 1\n");
    let engine = repository.open();
    fs::rename(repository.root.join("a"), repository.root.join("moved")).expect("moved");
    fs::remove_file(repository.root.join("c.py")).expect("removed");
    assert_eq!(engine.sync().n_files, 2);
    assert!(engine.symbols("moved/x.py").is_ok() && engine.symbols("a/x.py").is_err());
    repository.write(".gitignore", "b/\n");
    assert_eq!(engine.sync().n_files, 1);
    fs::remove_file(repository.root.join(".gitignore")).expect("removed");
    assert_eq!(engine.sync().n_files, 2);
}

#[test]
fn a_text_that_was_not_taken_is_not_answered_from_the_saved_one() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n$0\n");
    let engine = repository.open();
    engine.edit("a.py", "def two(): pass\n\n");
    let edited = |text: &str| Method::Edited { path: "a.py".into(), version: 2, text: text.into() };
    let refused = engine.error(edited("def three(): pass\n\0\n"));
    assert_eq!(refused.code, ErrorCode::Refused);
    let at = repository.at(0);
    let asked = engine.error(Method::Definition { at: at.clone() });
    assert_eq!(asked.code, ErrorCode::Refused, "{}", asked.message);
    assert!(asked.message.contains("as you have it open"), "{}", asked.message);
    engine.call(edited("def four(): pass\n\n"));
    assert_eq!(engine.symbols("a.py").expect("indexed"), ["four"]);
    engine.error(edited("\0"));
    engine.call(Method::Closed { path: "a.py".into() });
    engine.sync();
    assert_eq!(engine.symbols("a.py").expect("indexed"), ["one"]);
}

#[test]
fn unsaved_text_counts_until_closed() {
    let repository = Repository::new(
        "//- /lib.py\ndef one(): pass\n//- /main.py\nfrom lib import two\ntwo$0()\n",
    );
    let engine = repository.open();
    engine.edit("lib.py", "# moved\ndef two(): pass\n");
    assert_eq!(engine.symbols("lib.py").expect("indexed"), ["two"]);
    assert_eq!(engine.definitions(0), ["lib.py 2:5 two"]);
    repository.write("lib.py", "def saved(): pass\n");
    engine.sync();
    assert_eq!(engine.symbols("lib.py").expect("indexed"), ["two"]);
    engine.call(Method::Closed { path: "lib.py".into() });
    assert_eq!(engine.symbols("lib.py").expect("indexed"), ["saved"]);
}

#[test]
fn unsaved_text_of_a_client_that_left_is_gone() {
    let repository = Repository::new("//- /a.py\ndef saved(): pass\n");
    let service = repository.service();
    let session = service.session();
    let ask = |session: &std::sync::Arc<fovea_daemon::service::Session>, id, method| {
        let request = fovea_api::Request {
            id,
            root: Some(repository.root.clone()),
            deadline_ms: None,
            method,
        };
        let running = session.begin(&request);
        service.handle(&running, request, &|_| {}).result.expect("an answer")
    };
    ask(&session, 1, Method::Open { wait: true });
    let text = "def edited(): pass\n".to_owned();
    ask(&session, 2, Method::Edited { path: "a.py".into(), version: 1, text });
    drop(session);
    let session = service.session();
    ask(&session, 1, Method::Sync);
    let Answer::Symbols(symbols) =
        ask(&session, 2, Method::DocumentSymbols { path: "a.py".into() })
    else {
        panic!("symbols were expected")
    };
    assert_eq!(symbols[0].name, "saved");
    drop(session);
    service.shut_down();
}

#[test]
fn a_reopen_parses_nothing_and_sees_what_changed_meanwhile() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n//- /b.py\ndef two(): pass\n");
    let first = repository.open().status_when_ready();
    assert!(!first.reopened);
    repository.write("b.py", "def changed(): pass\n");
    fs::remove_file(repository.root.join("a.py")).expect("removed");
    repository.write("c.py", "def three(): pass\n");
    let engine = repository.open();
    let status = engine.status_when_ready();
    assert!(status.reopened && status.n_files == 2, "{status:?}");
    assert_eq!(engine.symbols("b.py").expect("indexed"), ["changed"]);
    assert_eq!(engine.symbols("c.py").expect("indexed"), ["three"]);
}

#[test]
fn a_new_file_is_seen_after_a_reopen() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n//- /b/c.py\ndef two(): pass\n");
    drop(repository.open());
    let engine = repository.open();
    repository.write("new.py", "def new(): pass\n");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while engine.symbols("new.py").is_err() {
        let why = engine.call(Method::Why { path: "new.py".into() });
        assert!(std::time::Instant::now() < deadline, "{why:?} {:?}", engine.status_when_ready());
        std::thread::yield_now();
    }
}

#[test]
fn reindex_starts_from_nothing_and_keeps_unsaved_text() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n//- /b.py\ndef two(): pass\n");
    let engine = repository.open();
    engine.edit("a.py", "def edited(): pass\n");
    let Answer::Workspace(status) = engine.call(Method::Reindex) else { panic!("a status") };
    assert_eq!((status.n_files, status.n_pending), (2, 0), "{status:?}");
    assert_eq!(engine.symbols("a.py").expect("indexed"), ["edited"]);
}

#[test]
fn a_damaged_index_is_rebuilt() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    drop(repository.open());
    let index = repository.dirs().workspace(&repository.root);
    let mut n_damaged = 0;
    let mut folders = vec![index];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("there") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::metadata(&path).expect("there").len() > 0 {
                fs::write(path, "damaged").expect("written");
                n_damaged += 1;
            }
        }
    }
    assert!(n_damaged > 2);
    let engine = repository.open();
    assert_eq!(engine.symbols("a.py").expect("indexed"), ["one"]);
}
