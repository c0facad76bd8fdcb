//! The address of the server, as `OLLAMA_HOST` and people write it.

use std::net::Ipv6Addr;

/// The default address of the server.
pub const DEFAULT_HOST: &str = "http://127.0.0.1:11434";

/// The address that a host stands for: the scheme is `http` and the port 11434 unless given, but a
/// host with a scheme and no port has the port of its scheme. An address to listen on, such as
/// `0.0.0.0`, stands for this machine.
///
/// ```
/// use mellea_ollama::address;
///
/// assert_eq!(address(""), "http://127.0.0.1:11434");
/// assert_eq!(address("gpu"), "http://gpu:11434");
/// assert_eq!(address("https://gpu/ollama/"), "https://gpu/ollama");
/// ```
#[must_use]
pub fn address(host: &str) -> String {
    let host = host.trim().trim_matches(['"', '\'']);
    let (scheme, rest) = host.split_once("://").map_or((None, host), |(scheme, rest)| (Some(scheme), rest));
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    let (user, place) = authority.rsplit_once('@').map_or(("", authority), |(user, place)| (user, place));
    let (name, port) = split_port(place);
    // The service of Ollama itself.
    let cloud = scheme.is_none() && port.is_none() && name == "ollama.com";
    let scheme = scheme.unwrap_or(if cloud { "https" } else { "http" });
    let default_port = if cloud || host.contains("://") { None } else { Some("11434") };
    let name = match name {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        name if name.parse::<Ipv6Addr>().is_ok() => format!("[{name}]"),
        name => name.to_owned(),
    };
    let mut out = format!("{scheme}://");
    if !user.is_empty() {
        out.push_str(user);
        out.push('@');
    }
    out.push_str(&name);
    if let Some(port) = port.or(default_port) {
        out.push(':');
        out.push_str(port);
    }
    let path = path.trim_end_matches('/');
    if !path.is_empty() {
        out.push('/');
        out.push_str(path);
    }
    out
}

/// The name, without the brackets of an IPv6 address, and the port.
fn split_port(place: &str) -> (&str, Option<&str>) {
    if let Some((name, rest)) = place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        return (name, rest.strip_prefix(':').filter(|p| !p.is_empty()));
    }
    if place.parse::<Ipv6Addr>().is_ok() {
        return (place, None);
    }
    match place.rsplit_once(':') {
        Some((name, port)) => (name, Some(port).filter(|p| !p.is_empty())),
        None => (place, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_become_addresses() {
        for (host, expected) in [
            ("", DEFAULT_HOST),
            ("  ", DEFAULT_HOST),
            ("h", "http://h:11434"),
            ("h:1", "http://h:1"),
            ("h/p", "http://h:11434/p"),
            (":8080", "http://127.0.0.1:8080"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("http://h", "http://h"),
            ("http://h/", "http://h"),
            ("https://h", "https://h"),
            ("https://h/p/", "https://h/p"),
            ("https://h:1/p//", "https://h:1/p"),
            ("http://0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::1]", "http://[::1]:11434"),
            ("[::1]:1", "http://[::1]:1"),
            ("::1", "http://[::1]:11434"),
            ("[::]:1", "http://[::1]:1"),
            ("http://[::1]", "http://[::1]"),
            ("'h'", "http://h:11434"),
            ("ollama.com", "https://ollama.com"),
            ("u:p@h", "http://u:p@h:11434"),
        ] {
            assert_eq!(address(host), expected, "{host}");
        }
    }
}
