//! One daemon, its socket, its clients and its end.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::Arc,
    thread,
    time::Duration,
};

use fovea_api::{Answer, ErrorCode, Frame, Method, Request, client::Client, wire};
use fovea_daemon::{
    connect::{ConnectError, ConnectOptions, Connection},
    server::{Server, ServerError},
};

use crate::support::Repository;

/// Serves in this process, on a real socket.
fn serve(repository: &Repository, idle_exit: Duration) -> thread::JoinHandle<()> {
    let server = Server::bind(&repository.dirs()).expect("a socket");
    let service = repository.service();
    thread::spawn(move || server.run(&service, idle_exit, 8))
}

fn options(repository: &Repository) -> ConnectOptions {
    ConnectOptions {
        dirs: repository.dirs(),
        layers: repository.layers(),
        no_daemon: false,
        start: false,
        executable: None,
    }
}

#[test]
fn clients_share_one_daemon_until_one_stops_it() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let server = serve(&repository, Duration::ZERO);
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    };
    assert_eq!(mode(&repository.dirs().socket()), 0o600);
    assert_eq!(mode(&repository.dirs().runtime), 0o700);

    let one = Connection::open(&options(&repository), |_| {}).expect("connects");
    let two = Connection::open(&options(&repository), |_| {}).expect("connects");
    let root = Some(repository.root.as_path());
    one.call(root, None, Method::Open { wait: true }).expect("indexed");
    let (answer, freshness) = two
        .call(root, None, Method::DocumentSymbols { path: "a.py".into() })
        .expect("indexed by the other");
    assert!(matches!(answer, Answer::Symbols(symbols) if symbols.len() == 1));
    assert!(freshness.is_some_and(|freshness| freshness.generation > 0));
    let (Answer::Status { daemon, .. }, _) = two.call(None, None, Method::Status).expect("status")
    else {
        panic!("a status was expected")
    };
    assert_eq!((daemon.n_clients, daemon.roots), (2, vec![repository.root.clone()]));

    match Server::bind(&repository.dirs()) {
        Err(ServerError::AlreadyRunning { pid }) => assert_eq!(pid, std::process::id().to_string()),
        other => panic!("a second daemon must not start: {:?}", other.map(|_| ())),
    }
    one.call(None, None, Method::Shutdown).expect("the answer comes before the end");
    server.join().expect("ended");
    assert!(!repository.dirs().socket().exists());
    let error = Connection::open(&options(&repository), |_| {}).map(|_| ()).expect_err("ended");
    assert!(matches!(error, ConnectError::NotRunning), "{error}");
}

#[test]
fn a_daemon_without_clients_ends() {
    let repository = Repository::new("");
    let server = serve(&repository, Duration::from_millis(50));
    server.join().expect("ended by itself");
    assert!(!repository.dirs().socket().exists());
}

#[test]
fn a_socket_left_by_a_killed_daemon_is_no_obstacle() {
    let repository = Repository::new("");
    let dirs = repository.dirs();
    std::fs::create_dir_all(&dirs.runtime).expect("folder");
    drop(std::os::unix::net::UnixListener::bind(dirs.socket()).expect("bound"));
    assert!(dirs.socket().exists());
    let server = serve(&repository, Duration::ZERO);
    let connection = Connection::open(&options(&repository), |_| {}).expect("connects");
    connection.call(None, None, Method::Shutdown).expect("answered");
    server.join().expect("ended");
}

#[test]
fn a_rude_client_harms_nobody() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let server = serve(&repository, Duration::ZERO);
    let socket = repository.dirs().socket();
    for bytes in [&[255u8, 255, 255, 255][..], &[3, 0, 0, 0, b'{', b'{', b'{'], &[9, 0, 0, 0, b'x']]
    {
        let mut rude = UnixStream::connect(&socket).expect("connects");
        std::io::Write::write_all(&mut rude, bytes).expect("sent");
        rude.shutdown(std::net::Shutdown::Write).expect("closed");
        // The daemon hangs up.
        let end = std::io::Read::read(&mut rude, &mut [0; 1]).expect("no error");
        assert_eq!(end, 0);
    }
    let connection = Connection::open(&options(&repository), |_| {}).expect("connects");
    let root = Some(repository.root.as_path());
    connection.call(root, None, Method::Open { wait: true }).expect("works");
    connection.call(None, None, Method::Shutdown).expect("answered");
    server.join().expect("ended");
}

#[test]
fn a_newer_completion_of_a_document_supersedes_the_older_one() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let service = repository.service();
    let session = service.session();
    let complete = |id, path: &str| Request {
        id,
        root: Some(repository.root.clone()),
        deadline_ms: None,
        method: Method::Complete {
            at: fovea_api::At {
                path: path.into(),
                line: 0,
                column: 0,
                encoding: Default::default(),
            },
            preset: Default::default(),
            budget_tokens: None,
            max_tokens: None,
            with_context: true,
            multi_line: false,
            use_model: false,
        },
    };
    let old = session.begin(&complete(1, "a.py"));
    let other = session.begin(&complete(2, "b.py"));
    let new = session.begin(&complete(3, "a.py"));
    assert!(old.is_cancelled() && !other.is_cancelled() && !new.is_cancelled());
    let error = service.handle(&old, complete(1, "a.py"), &|_| {}).result.expect_err("superseded");
    assert_eq!(error.code, ErrorCode::Cancelled);
    session.cancel(3);
    assert!(new.is_cancelled());
}

#[test]
fn answers_come_while_another_question_waits() {
    let repository = Repository::new("//- /a.py\ndef one(): pass\n");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    drop(theirs);
    // A connection that ended wakes everybody who waits on it.
    let client = Client::new(ours.try_clone().expect("clones"), ours, |_| {});
    assert!(client.call(None, None, Method::Status).is_err());

    let connection =
        Connection::to_service(Arc::clone(&repository.service()), |_| {}).expect("a pair");
    let root = Some(repository.root.clone());
    let waiting =
        connection.client().send(root.clone(), None, Method::Open { wait: true }).expect("sent");
    let status = connection.client().call(None, None, Method::Status).expect("answered");
    assert!(status.result.is_ok());
    assert!(waiting.wait().expect("answered").result.is_ok());
    let request = Request { id: 0, root, deadline_ms: None, method: Method::Status };
    assert!(wire::encode(&Frame::Request(request)).is_ok());
    assert!(repository.temp().exists());
}
