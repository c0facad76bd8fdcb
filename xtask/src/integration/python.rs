//! Python environments under the target directory, one per suite.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Failure, cargo};

/// A virtual environment.
pub(super) struct Python {
    home: PathBuf,
}

impl Python {
    /// The environment in this directory, with these packages. Made on first use, and made again when
    /// the list has changed since.
    pub(super) fn with(home: PathBuf, packages: &[&str]) -> Result<Self, Failure> {
        let python = Self { home };
        let complete = python.home.join("packages.txt");
        let wanted = packages.join("\n");
        if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        println!("installing {} from PyPI into {}", packages.join(", "), python.home.display());
        let mut make = Command::new("python3");
        cargo::finish(quiet(make.args(["-m", "venv", "--clear"]).arg(&python.home)), None)?;
        cargo::finish(python.pip("install").args(packages), None)?;
        std::fs::write(complete, wanted)?;
        Ok(python)
    }

    /// A program of the environment.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// A command with a program of the environment, and its others first on the path.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(self.home.join("bin")).chain(std::env::split_paths(&others)));
        command.env("PATH", path.unwrap_or(others));
        quiet(&mut command);
        command
    }

    /// The source of a package, unpacked: the path of its directory.
    pub(super) fn source(&self, name: &str, version: &str, directory: &Path) -> Result<PathBuf, Failure> {
        let stem = format!("{}-{version}", name.replace('-', "_"));
        let (archive, unpacked) = (directory.join(format!("{stem}.tar.gz")), directory.join(&stem));
        if !archive.is_file() {
            let mut download = self.pip("download");
            download.args(["--no-deps", "--no-binary", name, "--dest"]).arg(directory);
            cargo::finish(download.arg(format!("{name}=={version}")), None)?;
        }
        let mut unpack = self.command("python3");
        cargo::finish(unpack.args(["-m", "tarfile", "--extract"]).arg(&archive).arg(directory), None)?;
        if unpacked.is_dir() { Ok(unpacked) } else { Err(format!("{} holds no {stem}", archive.display()).into()) }
    }

    fn pip(&self, task: &str) -> Command {
        let mut pip = self.command("python3");
        pip.args(["-m", "pip", task, "--quiet", "--disable-pip-version-check"]);
        pip
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_with_the_same_packages_is_used_again() {
        let home = std::env::temp_dir().join(format!("mellea-xtask-python-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("packages.txt"), "a==1\nb==2").unwrap();
        let python = Python::with(home.clone(), &["a==1", "b==2"]).unwrap();
        assert_eq!(python.program("a"), home.join("bin/a"));
        assert!(python.command("a").get_envs().any(|(name, _)| name == "PATH"));
        std::fs::remove_dir_all(home).unwrap();
    }
}
