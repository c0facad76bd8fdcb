//! Files that only their owner may read, and that are never there in part.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The most bytes of a file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Writes a file whole: into a new file of the same folder, which then takes its place.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => return Err(io::Error::other("a symbolic link stands there")),
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is not a file")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.tmp", unique()));
    let beside = folder.join(beside);
    let written = fill(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The error of the write says more than that of the removal.
        let _ = fs::remove_file(&beside);
    }
    written?;
    // The new name is on the disk only with its folder; not every system can do that.
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn fill(path: &Path, text: &str) -> io::Result<()> {
    // A new file: neither a file nor a link that somebody put there is followed.
    let mut file = private().create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

/// A name that no other writer has at this time.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("{}-{time}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Reads a file of a sensible size.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap(), "two");
        assert_eq!(names(&folder.path().join("a")), ["b.json"]);
        assert!(write(&folder.path().join("a"), "x").unwrap_err().to_string().contains("not a file"));
        assert_eq!(names(folder.path()), ["a"], "a failed write leaves nothing");
        assert!(write(Path::new(""), "x").is_err());
    }

    #[test]
    fn writers_at_once_leave_the_text_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        std::thread::scope(|scope| {
            for i in 0..8 {
                let path = &path;
                scope.spawn(move || write(path, &i.to_string().repeat(100_000)).unwrap());
            }
        });
        let text = read(&path).unwrap();
        let first = text.chars().next().unwrap();
        assert!(text.len() == 100_000 && text.chars().all(|c| c == first), "{} bytes", text.len());
        assert_eq!(names(folder.path()), ["c.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_read_it_and_links_are_not_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.json");
        fs::write(&path, "open").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "closed").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "mine").unwrap();
        for to in [&target, &folder.path().join("nowhere")] {
            symlink(to, &link).unwrap();
            assert!(write(&link, "x").unwrap_err().to_string().contains("symbolic link"));
            fs::remove_file(&link).unwrap();
        }
        assert_eq!(read(&target).unwrap(), "mine");
    }
}
