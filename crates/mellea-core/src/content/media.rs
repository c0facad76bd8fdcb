//! Images and audio: what they claim to be is checked when they are made.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidContent;

type Result<T, E = InvalidContent> = std::result::Result<T, E>;

/// The most bytes that an image or a piece of audio may have: 25 MiB.
pub const MAX_MEDIA_BYTES: usize = 25 << 20;

/// An image: PNG, JPEG, WebP or GIF, or the address of one.
///
/// ```
/// use mellea_core::Image;
///
/// let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
/// assert_eq!(Image::from_base64(pixel)?.media_type(), Some("image/png"));
/// assert!(Image::from_base64("bm8gaW1hZ2U=").is_err());
/// assert!(Image::from_url("ftp://example.org/a.png").is_err());
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Image(Media);

/// A piece of audio with its format, or its address.
///
/// ```
/// use mellea_core::Audio;
///
/// let audio = Audio::from_base64("data:audio/mpeg;base64,SUQz", None)?;
/// assert_eq!(audio.format(), "mp3");
/// assert!(Audio::from_base64("SUQz", None).is_err(), "bare base64 does not say its format");
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Audio {
    media: Media,
    format: String,
}

#[derive(Clone, PartialEq, Eq)]
enum Media {
    /// Base64 without white space, and its media type.
    Inline {
        media_type: Arc<str>,
        base64: Arc<str>,
    },
    Url(Arc<str>),
}

fn invalid(what: &'static str, reason: impl Into<String>) -> InvalidContent {
    InvalidContent::new(what, reason)
}

impl Image {
    /// An image from the bytes of its file.
    ///
    /// # Errors
    /// [`InvalidContent`] unless they are a PNG, JPEG, WebP or GIF of at most
    /// [`MAX_MEDIA_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        check_size("image", bytes.len())?;
        let media_type = image_type(bytes).ok_or_else(|| invalid("image", "it is not a PNG, JPEG, WebP or GIF"))?;
        Ok(Self(Media::Inline { media_type: media_type.into(), base64: STANDARD.encode(bytes).into() }))
    }

    /// An image from base64, with or without padding, or from a data URI.
    ///
    /// # Errors
    /// [`InvalidContent`] if it is not base64, or not such an image.
    pub fn from_base64(text: &str) -> Result<Self> {
        Self::from_bytes(&decode("image", text)?.1)
    }

    /// An image from a file.
    ///
    /// # Errors
    /// [`InvalidContent`] if it cannot be read, or is not such an image.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = |e: std::io::Error| invalid("image", format!("{}: {e}", path.display())).with_source(e);
        check_size("image", usize::try_from(std::fs::metadata(path).map_err(read)?.len()).unwrap_or(usize::MAX))?;
        Self::from_bytes(&std::fs::read(path).map_err(read)?)
    }

    /// The address of an image, for providers that fetch images themselves; a data URI is the image itself.
    ///
    /// # Errors
    /// [`InvalidContent`] unless it is an `http` or `https` address, or a data URI of an image.
    pub fn from_url(url: &str) -> Result<Self> {
        if after_scheme(url.trim()).is_some() {
            return Self::from_base64(url);
        }
        Ok(Self(Media::Url(check_url("image", url)?.into())))
    }

    /// The media type, such as `image/png`; unknown for an address.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.0.media_type()
    }

    /// The image in base64, unless it is an address.
    #[must_use]
    pub fn base64(&self) -> Option<&str> {
        self.0.base64()
    }

    /// The image as a data URI, unless it is an address.
    #[must_use]
    pub fn data_uri(&self) -> Option<String> {
        Some(format!("data:{};base64,{}", self.media_type()?, self.base64()?))
    }

    /// The address, if it is one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.0.url()
    }
}

impl Audio {
    /// Audio from the bytes of its file; the format is a name such as `wav`, `mp3` or `flac`, or a
    /// media type.
    ///
    /// # Errors
    /// [`InvalidContent`] if there are no bytes, too many, or no format.
    pub fn from_bytes(bytes: &[u8], format: &str) -> Result<Self> {
        check_size("audio", bytes.len())?;
        if bytes.is_empty() {
            return Err(invalid("audio", "it is empty"));
        }
        let format = audio_format(format).ok_or_else(|| invalid("audio", "its format must be a non-empty name"))?;
        let media = Media::Inline { media_type: format!("audio/{format}").into(), base64: STANDARD.encode(bytes).into() };
        Ok(Self { media, format })
    }

    /// Audio from base64 or a data URI. A data URI says its format; bare base64 needs one.
    ///
    /// # Errors
    /// [`InvalidContent`] if it is not base64, or its format is unknown.
    pub fn from_base64(text: &str, format: Option<&str>) -> Result<Self> {
        let (media_type, bytes) = decode("audio", text)?;
        let format = format.or(media_type).ok_or_else(|| invalid("audio", "bare base64 needs a non-empty format"))?;
        Self::from_bytes(&bytes, format)
    }

    /// The address of a piece of audio, for providers that fetch audio themselves.
    ///
    /// # Errors
    /// [`InvalidContent`] unless it is an `http` or `https` address with a format.
    pub fn from_url(url: &str, format: &str) -> Result<Self> {
        let format = audio_format(format).ok_or_else(|| invalid("audio", "its format must be a non-empty name"))?;
        Ok(Self { media: Media::Url(check_url("audio", url)?.into()), format })
    }

    /// The format, such as `wav` or `mp3`.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.format
    }

    /// The audio in base64, unless it is an address.
    #[must_use]
    pub fn base64(&self) -> Option<&str> {
        self.media.base64()
    }

    /// The address, if it is one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.media.url()
    }
}

impl Media {
    fn media_type(&self) -> Option<&str> {
        match self {
            Self::Inline { media_type, .. } => Some(media_type),
            Self::Url(_) => None,
        }
    }

    fn base64(&self) -> Option<&str> {
        match self {
            Self::Inline { base64, .. } => Some(base64),
            Self::Url(_) => None,
        }
    }

    fn url(&self) -> Option<&str> {
        match self {
            Self::Inline { .. } => None,
            Self::Url(url) => Some(url),
        }
    }
}

fn check_size(what: &'static str, bytes: usize) -> Result<()> {
    if bytes > MAX_MEDIA_BYTES {
        return Err(invalid(what, format!("it has {bytes} bytes, at most {MAX_MEDIA_BYTES} are accepted")));
    }
    Ok(())
}

fn check_url<'a>(what: &'static str, url: &'a str) -> Result<&'a str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !url.contains(char::is_whitespace) => Ok(url),
        _ => Err(invalid(what, "its address must begin with http:// or https://")),
    }
}

/// The media type, if the text is a data URI, and the bytes.
fn decode<'a>(what: &'static str, text: &'a str) -> Result<(Option<&'a str>, Vec<u8>)> {
    let text = text.trim();
    let (media_type, data) = match after_scheme(text) {
        None => (None, text),
        Some(uri) => {
            let (head, data) = uri.split_once(',').ok_or_else(|| invalid(what, "the data URI has no data"))?;
            let (media_type, encoding) = head.rsplit_once(';').unwrap_or((head, ""));
            if !encoding.trim().eq_ignore_ascii_case("base64") {
                return Err(invalid(what, "the data URI is not in base64"));
            }
            (Some(media_type.split(';').next().unwrap_or_default()), data)
        }
    };
    let data = plain_base64(data);
    check_size(what, data.len() / 4 * 3)?;
    let bytes = STANDARD.decode(data).map_err(|e| invalid(what, "it is not base64").with_source(e))?;
    Ok((media_type, bytes))
}

/// What follows `data:`, if the text is a data URI.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked(5)?;
    scheme.eq_ignore_ascii_case("data:").then_some(rest)
}

/// Base64 as RFC 4648 has it: without line breaks, in its first alphabet, padded. Tools break lines, addresses use the
/// other alphabet, and in a URI some signs are escaped.
fn plain_base64(data: &str) -> String {
    let mut out = String::with_capacity(data.len() + 4);
    let mut rest = data;
    while let Some(c) = rest.chars().next() {
        let escaped = rest.get(..3).filter(|_| c == '%').and_then(|escape| match escape.to_ascii_lowercase().as_str() {
            "%2b" => Some('+'),
            "%2f" => Some('/'),
            "%3d" => Some('='),
            "%0a" | "%0d" | "%20" => Some(' '),
            _ => None,
        });
        rest = rest.get(if escaped.is_some() { 3 } else { c.len_utf8() }..).unwrap_or_default();
        match escaped.unwrap_or(c) {
            '-' => out.push('+'),
            '_' => out.push('/'),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end_matches('=').len());
    out.extend(std::iter::repeat_n('=', (4 - out.len() % 4) % 4));
    out
}

fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ => None,
    }
}

/// The usual name of a format: media types and their variants become what providers ask for.
fn audio_format(name: &str) -> Option<String> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("audio/").unwrap_or(&name);
    Some(match name {
        "" => return None,
        "x-wav" | "wave" | "vnd.wave" => "wav".to_owned(),
        "mpeg" | "x-mpeg" | "x-mp3" => "mp3".to_owned(),
        "x-flac" => "flac".to_owned(),
        other => other.to_owned(),
    })
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { media_type, base64 } => write!(f, "{media_type}, {} bytes", base64.len() / 4 * 3),
            // A query may carry a key.
            Self::Url(url) => f.write_str(url.split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({:?})", self.0)
    }
}

impl fmt::Debug for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audio({:?})", self.media)
    }
}

/// The stable form: base64 or an address, and for audio the format.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
}

impl Stored {
    fn of(media: &Media, format: Option<&str>) -> Self {
        Self { base64: media.base64().map(str::to_owned), url: media.url().map(str::to_owned), format: format.map(str::to_owned) }
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::of(&self.0, None).serialize(serializer)
    }
}

impl Serialize for Audio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::of(&self.media, Some(&self.format)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Stored::deserialize(deserializer)? {
            Stored { base64: Some(base64), .. } => Self::from_base64(&base64),
            Stored { url: Some(url), .. } => Self::from_url(&url),
            _ => Err(invalid("image", "it has neither base64 nor an address")),
        }
        .map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Audio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Stored::deserialize(deserializer)? {
            Stored { base64: Some(base64), format, .. } => Self::from_base64(&base64, format.as_deref()),
            Stored { url: Some(url), format, .. } => Self::from_url(&url, &format.unwrap_or_default()),
            _ => Err(invalid("audio", "it has neither base64 nor an address")),
        }
        .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_tools_write_it() {
        let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
        let image = Image::from_base64(pixel).unwrap();
        let lines = format!("{}\r\n{}\n", &pixel[..40], &pixel[40..]);
        let url_safe = pixel.replace('+', "-").replace('/', "_").replace('=', "");
        let escaped = pixel.replace('+', "%2B").replace('/', "%2F").replace('=', "%3d");
        for text in
            [lines.clone(), url_safe, format!("DATA:image/png;BASE64,{escaped}"), format!("data:image/png;base64,{lines}")]
        {
            assert!(Image::from_base64(&text).unwrap() == image, "{text}");
        }
        assert!(Image::from_url(&format!("data:image/png;base64,{pixel}")).unwrap() == image);
        assert!(Image::from_base64("iVBORw0KGgo*").is_err() && Image::from_url("data:text/html,hello").is_err());
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    #[test]
    fn images_are_known_by_their_first_bytes() {
        for (bytes, media_type) in [
            (PNG, "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"GIF89a", "image/gif"),
        ] {
            let image = Image::from_bytes(bytes).unwrap();
            assert_eq!(image.media_type(), Some(media_type));
            assert_eq!(Image::from_base64(&image.data_uri().unwrap()).unwrap(), image);
            assert_eq!(Image::from_base64(image.base64().unwrap().trim_end_matches('=')).unwrap(), image, "padding is optional");
        }
        for bytes in [b"".as_slice(), b"no image", b"RIFF\0\0\0\0WAVE", b"%PDF-1.7"] {
            assert!(Image::from_bytes(bytes).is_err());
        }
    }

    #[test]
    fn bad_base64_addresses_and_sizes_are_typed_errors() {
        for bad in ["", "data:image/png;base64", "data:image/png,abc", "data:text/plain;base64,aGk=", "§§§", "a b c"] {
            assert_eq!(Image::from_base64(bad).unwrap_err().what(), "image", "{bad}");
        }
        for bad in ["", "http://", "file:///etc/passwd", "javascript:x", "http://a b"] {
            assert!(Image::from_url(bad).is_err(), "{bad}");
        }
        let mut huge = PNG.to_vec();
        huge.resize(MAX_MEDIA_BYTES + 1, 0);
        assert!(Image::from_bytes(&huge).unwrap_err().to_string().contains("26214401 bytes"));
        assert!(Image::from_file("no such file.png").unwrap_err().to_string().contains("no such file.png"));
    }

    #[test]
    fn audio_formats_have_one_name_each() {
        for (given, format) in [("audio/x-wav", "wav"), ("WAVE", "wav"), ("mpeg", "mp3"), ("x-flac", "flac"), ("ogg", "ogg")] {
            assert_eq!(Audio::from_bytes(b"x", given).unwrap().format(), format);
        }
        assert!(Audio::from_bytes(b"x", " ").unwrap_err().to_string().contains("non-empty"));
        assert!(Audio::from_bytes(b"", "wav").is_err());
        assert!(Audio::from_url("https://example.org/a.wav", "").is_err());
    }

    #[test]
    fn debug_shows_no_payload_and_no_query() {
        let image = format!("{:?}", Image::from_bytes(PNG).unwrap());
        assert_eq!(image, "Image(image/png, 12 bytes)");
        let url = format!("{:?}", Image::from_url("https://example.org/a.png?key=secret#x").unwrap());
        assert_eq!(url, "Image(https://example.org/a.png)");
    }

    #[test]
    fn media_survive_json_and_are_checked_again() {
        let image = Image::from_bytes(PNG).unwrap();
        let audio = Audio::from_bytes(b"abc", "wav").unwrap();
        let json = serde_json::to_string(&(&image, &audio)).unwrap();
        assert_eq!(serde_json::from_str::<(Image, Audio)>(&json).unwrap(), (image, audio));
        assert!(serde_json::from_str::<Image>(r#"{"base64":"bm8="}"#).is_err());
    }
}
