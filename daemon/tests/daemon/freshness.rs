//! What is saved, edited, moved and removed shows in the next answer.

use std::{fs, sync::Arc};

use fovea_api::{Answer, ErrorCode, Method};
use fovea_daemon::connect::Connection;

use crate::support::{Engine, Repository};

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
fn text_that_an_editor_has_for_a_link_to_an_excluded_file_is_refused() {
    let repository = Repository::new("//- /.env\nTOKEN=1\n//- /src/a.py\ndef a(): pass\n");
    let root = &repository.root;
    fs::hard_link(root.join(".env"), root.join("hard.py")).expect("linked");
    fs::hard_link(root.join("src/a.py"), root.join("twice.py")).expect("linked");
    std::os::unix::fs::symlink("../.env", root.join("src/soft.py")).expect("linked");
    let engine = repository.open();
    engine.status_when_ready();
    let edited = |path: &str| {
        let text = "def canary(): pass\n".to_owned();
        Method::Edited { path: path.to_owned(), version: 1, text }
    };
    for path in ["hard.py", "src/soft.py"] {
        let refused = engine.error(edited(path));
        assert_eq!(refused.code, ErrorCode::Refused, "{path}");
        assert!(refused.message.contains("`.env`, which is excluded"), "{}", refused.message);
    }
    engine.call(edited("twice.py"));
    assert_eq!(engine.symbols("twice.py").expect("indexed"), ["canary"]);
    // A file that an editor has open already becomes such a link.
    fs::remove_file(root.join("twice.py")).expect("removed");
    fs::hard_link(root.join(".env"), root.join("twice.py")).expect("linked");
    engine.sync();
    engine.sync();
    assert!(engine.symbols("twice.py").is_err());
}

#[test]
fn an_excluded_file_takes_its_earlier_versions_along() {
    let repository = Repository::new("//- /a.py\ndef first_canary_zq(): pass\n");
    let facts = repository.dirs().facts();
    let is_stored = |word: &str| {
        let names = ["", "-wal"].map(|end| format!("{}{end}", facts.display()));
        let bytes = names.iter().flat_map(|name| fs::read(name).unwrap_or_default());
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).contains(word)
    };
    let engine = repository.open();
    engine.status_when_ready();
    repository.write("a.py", "def second_canary_zq(): pass\n");
    engine.sync();
    drop(engine);
    assert!(is_stored("first_canary_zq") && is_stored("second_canary_zq"));
    let engine = repository.open();
    repository.write("a.py", "def third_canary_zq(): pass\n");
    engine.sync();
    repository.write(".gitignore", "a.py\n");
    assert_eq!(engine.sync().n_files, 0);
    drop(engine);
    let stored = ["first_canary_zq", "second_canary_zq", "third_canary_zq"].map(is_stored);
    assert_eq!(stored, [false; 3]);
}

#[test]
fn each_of_two_windows_sees_its_own_unsaved_text() {
    let repository = Repository::new(
        "//- /lib.py\ndef one(): pass\n//- /main.py\nfrom lib import one, two\ntwo$0(one$0())\n",
    );
    let service = repository.service();
    let window = || Engine {
        repository: &repository,
        connection: Connection::to_service(Arc::clone(&service), |_| {}).expect("a socket pair"),
    };
    let (older, newer) = (window(), window());
    older.call(Method::Open { wait: true });
    older.edit("lib.py", "# moved\ndef one(): pass\n");
    newer.edit("lib.py", "def two(): pass\n");
    for _ in 0..2 {
        assert_eq!(newer.symbols("lib.py").expect("indexed"), ["two"]);
        assert_eq!(newer.definitions(0), ["lib.py 1:5 two"]);
        assert_eq!(newer.definitions(1), [""; 0]);
        assert_eq!(older.symbols("lib.py").expect("indexed"), ["one"]);
        assert_eq!(older.definitions(1), ["lib.py 2:5 one"]);
        assert_eq!(older.definitions(0), [""; 0]);
    }
    // A third has nothing open: the newest text counts, in what is searched too.
    let third = window();
    assert_eq!(third.symbols("lib.py").expect("indexed"), ["two"]);
    let found = |window: &Engine<'_>, name: &str| {
        let grep = Method::Grep {
            pattern: format!("def {name}"),
            regex: false,
            ignore_case: false,
            limit: 5,
            word: false,
            path: None,
        };
        let Answer::Search(found) = window.call(grep) else { panic!("lines were expected") };
        !found.hits.is_empty()
    };
    let seen = [&older, &newer, &third].map(|window| (found(window, "one"), found(window, "two")));
    assert_eq!(seen, [(true, false), (false, true), (false, true)]);
    // Typing there makes its text the newest, and the other's the hidden one.
    older.edit("lib.py", "# moved\n# again\ndef one(): pass\n");
    assert_eq!(older.symbols("lib.py").expect("indexed"), ["one"]);
    assert_eq!(older.definitions(1), ["lib.py 3:5 one"]);
    assert_eq!(newer.definitions(0), ["lib.py 1:5 two"]);
    newer.call(Method::Closed { path: "lib.py".into() });
    assert_eq!(newer.symbols("lib.py").expect("indexed"), ["one"]);
    assert_eq!(newer.definitions(1), ["lib.py 3:5 one"]);
}

#[test]
fn unsaved_text_of_a_client_that_left_is_gone() {
    let repository = Repository::new("//- /a.py\ndef saved(): pass\n");
    let service = repository.service();
    let session = service.session();
    let ask = |session: &Arc<fovea_daemon::service::Session>, id, method| {
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
