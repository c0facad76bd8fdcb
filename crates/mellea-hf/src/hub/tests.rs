//! Cache trees made by hand, and a hub on the loopback interface.

use std::path::PathBuf;

use super::*;
use crate::error::ErrorKind;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn settings(cache: &Path) -> HubSettings {
    let mut settings = HubSettings::read(|_| None);
    settings.cache = cache.to_owned();
    settings.offline = Some("the test says so");
    settings
}

fn repository(revision: &str) -> Repository {
    Repository::new("org/name", Some(revision)).unwrap()
}

fn snapshot(cache: &Path, files: &[(&str, &str)]) -> PathBuf {
    let folder = cache.join("models--org--name");
    let snapshot = folder.join("snapshots").join(COMMIT);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(folder.join("refs")).unwrap();
    std::fs::write(folder.join("refs/main"), COMMIT).unwrap();
    for (name, text) in files {
        std::fs::write(snapshot.join(name), text).unwrap();
    }
    snapshot
}

const WHOLE: [(&str, &str); 4] =
    [("config.json", "{}"), ("tokenizer.json", "{}"), ("model.safetensors", "x"), ("README.md", "no")];

#[test]
fn a_complete_revision_is_found_by_branch_and_by_commit() {
    let cache = tempfile::tempdir().unwrap();
    snapshot(cache.path(), &WHOLE);
    for revision in ["main", COMMIT] {
        let files = fetch(&repository(revision), &settings(cache.path()), None).unwrap();
        assert_eq!(files.names().collect::<Vec<_>>(), ["config.json", "model.safetensors", "tokenizer.json"]);
        assert_eq!(files.model(), "org/name");
    }
}

#[test]
fn what_is_missing_offline_is_named_with_the_place() {
    let cache = tempfile::tempdir().unwrap();
    let error = fetch(&repository("main"), &settings(cache.path()), None).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Offline { .. }));
    let text = error.to_string();
    for part in ["config.json", "org/name", "revision main", "the test says so", cache.path().to_str().unwrap()] {
        assert!(text.contains(part), "{text}");
    }
    snapshot(cache.path(), &WHOLE[..2]);
    let error = fetch(&repository("main"), &settings(cache.path()), None).unwrap_err();
    assert!(error.to_string().starts_with("model.safetensors of org/name"), "{error}");
    assert!(fetch(&repository("v2"), &settings(cache.path()), None).is_err());
}

#[test]
fn every_shard_of_an_index_must_be_there() {
    let cache = tempfile::tempdir().unwrap();
    let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let files = [WHOLE[0], WHOLE[1], ("model.safetensors.index.json", index), ("model-1.safetensors", "x")];
    let place = snapshot(cache.path(), &files);
    let error = fetch(&repository("main"), &settings(cache.path()), None).unwrap_err();
    assert!(error.to_string().starts_with("model-2.safetensors"), "{error}");
    std::fs::write(place.join("model-2.safetensors"), "x").unwrap();
    assert!(fetch(&repository("main"), &settings(cache.path()), None).is_ok());
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_a_broken_download() {
    let cache = tempfile::tempdir().unwrap();
    let place = snapshot(cache.path(), &WHOLE[..2]);
    std::os::unix::fs::symlink("../../blobs/none", place.join("model.safetensors")).unwrap();
    assert!(fetch(&repository("main"), &settings(cache.path()), None).is_err());
}

#[test]
fn names_that_would_leave_the_cache_are_refused() {
    for id in ["../name", "a/b/c", "", "org/", "org/na me", "org/.."] {
        assert!(Repository::new(id, None).is_err(), "{id}");
    }
    assert!(Repository::new("org/name", Some("../../x")).is_err());
    assert!(Repository::new("gpt2", Some("refs/pr/1")).is_ok());
}

#[test]
fn the_environment_is_read_as_python_reads_it() {
    let read = |pairs: &[(&str, &str)]| {
        HubSettings::read(|name| pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
    };
    assert_eq!(read(&[("HOME", "/h")]).cache, Path::new("/h/.cache/huggingface/hub"));
    assert_eq!(read(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).cache, Path::new("/x/huggingface/hub"));
    assert_eq!(read(&[("HF_HOME", "/f")]).cache, Path::new("/f/hub"));
    assert_eq!(read(&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
    assert_eq!(read(&[("HF_HUB_OFFLINE", "1")]).offline, Some("HF_HUB_OFFLINE is set"));
    assert_eq!(read(&[("TRANSFORMERS_OFFLINE", "yes")]).offline, Some("TRANSFORMERS_OFFLINE is set"));
    assert_eq!(read(&[("HF_HUB_OFFLINE", "0")]).offline, None);
    assert_eq!(read(&[("HF_ENDPOINT", "http://mirror/")]).endpoint, "http://mirror");
    assert_eq!(read(&[("HF_TOKEN", " secret\n")]).token, Token::new("secret"));
    assert_eq!(read(&[("HF_TOKEN", "secret"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);

    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), "from-file\n").unwrap();
    assert_eq!(read(&[("HF_HOME", home.path().to_str().unwrap())]).token, Token::new("from-file"));
}

#[test]
fn a_token_shows_itself_to_nobody() {
    let mut settings = settings(Path::new("cache"));
    settings.token = Token::new("canary");
    assert!(!format!("{settings:?} {settings:#?}").contains("canary"));
}

#[cfg(feature = "hub")]
mod online {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::Mutex;

    use super::*;

    /// A hub that knows one repository; it serves until the test ends and notes what was asked.
    fn hub(status: u16) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                let mut range = None;
                for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
                    let line = line.to_lowercase();
                    range = line.strip_prefix("range: bytes=").map(str::to_owned).or(range);
                    if let Some(value) = line.strip_prefix("authorization: ") {
                        seen.lock().unwrap().push(value.to_owned());
                    }
                }
                let path = request.split(' ').nth(1).unwrap().to_owned();
                seen.lock().unwrap().push(path.clone());
                let reply = if status == 200 { answer(&path, range.as_deref()) } else { format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") };
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        (address, log)
    }

    fn answer(path: &str, range: Option<&str>) -> String {
        let names = WHOLE.iter().map(|(name, _)| format!("{{\"rfilename\":\"{name}\"}}")).collect::<Vec<_>>();
        let (head, body) = if path.starts_with("/api/") {
            ("200 OK\r\nContent-Type: application/json".to_owned(), format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", names.join(",")))
        } else {
            let name = path.rsplit('/').next().unwrap();
            let Some((_, text)) = WHOLE.iter().find(|(own, _)| *own == name) else {
                return "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
            };
            let (from, to) = range.and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
            let from: usize = from.parse().unwrap();
            let to = to.parse::<usize>().unwrap_or(usize::MAX).min(text.len() - 1);
            let head = format!("206 Partial\r\nETag: \"{name}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {from}-{to}/{}", text.len());
            (head, text[from..=to].to_owned())
        };
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    fn online(cache: &Path, endpoint: String) -> HubSettings {
        HubSettings { offline: None, endpoint, token: Token::new("canary"), ..settings(cache) }
    }

    #[test]
    fn what_is_missing_is_fetched_once_and_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        let (address, log) = hub(200);
        let progress = Arc::new(Mutex::new(Vec::new()));
        let report = Arc::clone(&progress);
        let on_progress: OnProgress = Arc::new(move |step: &Download| report.lock().unwrap().push(step.clone()));
        let settings = online(cache.path(), address);
        let files = fetch(&repository("main"), &settings, Some(on_progress)).unwrap();
        assert_eq!(files.names().collect::<Vec<_>>(), ["config.json", "model.safetensors", "tokenizer.json"]);
        assert!(progress.lock().unwrap().iter().any(|step| step.file == "config.json" && step.received == step.total));
        let asked = log.lock().unwrap().clone();
        assert!(asked.iter().any(|line| line == "bearer canary"), "{asked:?}");
        assert!(!asked.iter().any(|line| line.contains("README")), "{asked:?}");
        // The second time the cache answers.
        let before = log.lock().unwrap().len();
        fetch(&repository("main"), &settings, None).unwrap();
        assert_eq!(log.lock().unwrap().len(), before);
    }

    #[test]
    fn refusals_say_what_to_do_and_never_show_the_token() {
        let cache = tempfile::tempdir().unwrap();
        for (status, part) in [(401, "HF_TOKEN"), (403, "gated"), (404, "has no repository"), (500, "could not fetch")] {
            let (address, _) = hub(status);
            let address = address.replace("http://", "http://user:canary@");
            let error = fetch(&repository("main"), &online(cache.path(), address), None).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(part) && text.contains("org/name"), "{status}: {text}");
            assert!(!text.contains("canary"), "{status}: {text}");
        }
    }

    #[test]
    fn an_unreachable_hub_is_a_retryable_error() {
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&repository("main"), &online(cache.path(), "http://127.0.0.1:9".to_owned()), None).unwrap_err();
        assert!(error.is_retryable() && matches!(error.kind(), ErrorKind::Network { .. }), "{error}");
    }
}
