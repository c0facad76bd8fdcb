//! What `cargo metadata` says of the workspace.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::{Failure, cargo};

/// Features that need hardware or libraries a machine may lack. No task turns them on, but for
/// `native-tls`, which has a step of its own where OpenSSL is.
const DEVICES: [&str; 7] = ["accelerate", "cuda", "cudnn", "flash-attn", "metal", "mkl", "native-tls"];

/// The workspace.
pub(crate) struct Workspace {
    pub(crate) target: PathBuf,
    pub(crate) members: Vec<Member>,
}

/// One package of the workspace.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// Each feature and what it turns on, those of devices left out.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) readme: Option<String>,
    /// The pages on docs.rs are built with `--cfg docsrs`, so that items say which feature they need.
    pub(crate) docs_with_features: bool,
    pub(crate) has_library: bool,
    /// Others may depend on it: not `publish = false`.
    pub(crate) published: bool,
    pub(crate) binaries: Vec<String>,
    pub(crate) benches: Vec<String>,
    /// Binaries that need a running service, and its name: `[package.metadata.services]`.
    pub(crate) services: BTreeMap<String, String>,
}

/// A dependency of a package.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only for tests, examples and benchmarks.
    pub(crate) dev: bool,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self, Failure> {
        let json = cargo::capture(&mut cargo::command(["metadata", "--no-deps", "--format-version", "1"]))?;
        Ok(Self::parse(&serde_json::from_str(&json)?))
    }

    fn parse(metadata: &Value) -> Self {
        let mut members: Vec<Member> = items(&metadata["packages"]).iter().map(Member::parse).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Self { target: text(&metadata["target_directory"]).into(), members }
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Member, Failure> {
        self.members.iter().find(|m| m.name == name).ok_or_else(|| format!("the workspace has no package `{name}`").into())
    }

    /// The arguments that select everything, with the same features for every task.
    pub(crate) fn everything(&self) -> Vec<String> {
        let features = self.members.iter().flat_map(|m| m.features.keys().map(move |feature| format!("{}/{feature}", m.name)));
        vec!["--workspace".into(), "--features".into(), features.collect::<Vec<_>>().join(",")]
    }
}

impl Member {
    fn parse(package: &Value) -> Self {
        let of_kind = |kind: &'static str| {
            items(&package["targets"]).iter().filter(move |target| items(&target["kind"]).iter().any(|k| k == kind))
        };
        let names = |kind| of_kind(kind).map(|target| text(&target["name"])).collect();
        let pairs = |value: &Value| value.as_object().cloned().unwrap_or_default().into_iter();
        let services = package.pointer("/metadata/services").unwrap_or(&Value::Null);
        let is_library = |target: &Value| items(&target["kind"]).iter().any(|k| k == "lib" || k == "proc-macro");
        Self {
            name: text(&package["name"]),
            manifest: text(&package["manifest_path"]).into(),
            features: pairs(&package["features"])
                .filter(|(name, _)| !DEVICES.contains(&name.as_str()))
                .map(|(name, turns_on)| (name, items(&turns_on).iter().map(text).collect()))
                .collect(),
            dependencies: items(&package["dependencies"])
                .iter()
                .map(|d| Dependency { name: text(&d["name"]), dev: d["kind"] == "dev" })
                .collect(),
            keywords: items(&package["keywords"]).iter().map(text).collect(),
            categories: items(&package["categories"]).iter().map(text).collect(),
            readme: package["readme"].as_str().map(str::to_owned),
            docs_with_features: package.pointer("/metadata/docs/rs/rustdoc-args")
                == Some(&serde_json::json!(["--cfg", "docsrs"])),
            published: package["publish"].is_null(),
            has_library: items(&package["targets"]).iter().any(is_library),
            binaries: names("bin"),
            benches: names("bench"),
            services: pairs(services).map(|(name, service)| (name, text(&service))).collect(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_read() {
        let workspace = Workspace::parse(&serde_json::json!({
            "target_directory": "t",
            "packages": [{
                "name": "b",
                "manifest_path": "b/Cargo.toml",
                "features": {"default": ["x"], "x": ["dep:y"], "cuda": []},
                "dependencies": [{"name": "y", "kind": null}, {"name": "z", "kind": "dev"}],
                "targets": [{"name": "b", "kind": ["lib"]}, {"name": "run", "kind": ["bin"]}, {"name": "fast", "kind": ["bench"]}],
                "metadata": {"services": {"run": "ollama"}},
            }, {"name": "a", "publish": []}],
        }));
        let b = workspace.member("b").unwrap();
        assert_eq!(b.features.keys().collect::<Vec<_>>(), ["default", "x"]);
        assert_eq!((b.has_library, &*b.binaries, &*b.benches), (true, &["run".into()][..], &["fast".into()][..]));
        assert_eq!(b.services["run"], "ollama");
        assert!(b.published && !workspace.member("a").unwrap().published);
        assert_eq!(b.dependencies.iter().map(|d| (d.name.as_str(), d.dev)).collect::<Vec<_>>(), [("y", false), ("z", true)]);
        assert_eq!(workspace.everything(), ["--workspace", "--features", "b/default,b/x"]);
        assert!(workspace.member("c").is_err());
    }
}
