//! [`Note`]: the manifest in a plugin's own ELF section, and [`Metadata`] in another. The peer reads both from the
//! file, before the dynamic linker or any code of the plugin sees the light.

/// First bytes of every manifest.
pub const MAGIC: [u8; 8] = *b"FABPLUG\0";
/// Name of the ELF section.
pub const SECTION: &str = ".fabplug";
/// Name of the ELF section that holds [`Metadata`], since 1.1: one JSON object without a terminator, with the keys
/// `name`, `version`, `description` and `configSchema`.
pub const METADATA_SECTION: &str = ".fabplug.meta";
/// Most bytes that a peer reads from [`METADATA_SECTION`].
pub const MAX_METADATA: usize = 1 << 20;
/// Name of the symbol, NUL-terminated.
pub const NOTE_SYMBOL: &[u8] = b"FABRIC_PEER_PLUGIN\0";
/// Name of the symbol of the root module's header, NUL-terminated.
pub const MODULE_SYMBOL: &[u8] = b"FABRIC_PEER_PLUGIN_MODULE\0";
/// Major version of this contract; a peer supports exactly one.
pub const API_MAJOR: u16 = 1;
/// Minor version of this contract.
pub const API_MINOR: u16 = 1;

/// The library offers an auth filter.
pub const KIND_AUTH_FILTER: u32 = 1;
/// The library offers a decorator.
pub const KIND_DECORATOR: u32 = 2;
/// The library offers a platform.
pub const KIND_PLATFORM: u32 = 4;
/// The library offers an endorsement plugin (since 1.1).
pub const KIND_ENDORSEMENT: u32 = 8;
/// The library offers a validation plugin (since 1.1).
pub const KIND_VALIDATION: u32 = 16;

/// The library was built with `panic = "unwind"`.
pub const FLAG_UNWIND: u32 = 1;
/// The library is a debug build.
pub const FLAG_DEBUG: u32 = 2;
/// The library has the C interface of `include/fabric_peer_plugin.h` instead of a root module.
pub const FLAG_C: u32 = 4;

/// The target triple that this crate was compiled for.
pub const TARGET: &str = env!("FABRIC_PLUGIN_TARGET");
/// The compiler that compiled this crate.
pub const TOOLCHAIN: &str = env!("FABRIC_PLUGIN_TOOLCHAIN");

/// The manifest: plain data without relocations, native byte order, texts padded with NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// Size of this struct in bytes.
    pub size: u32,
    /// [`API_MAJOR`] of the plugin-api that the plugin was built with.
    pub api_major: u16,
    /// [`API_MINOR`] of the plugin-api that the plugin was built with.
    pub api_minor: u16,
    /// The `KIND_` bits.
    pub kinds: u32,
    /// The `FLAG_` bits.
    pub flags: u32,
    /// The plugin's name.
    pub name: [u8; 64],
    /// The plugin's version.
    pub version: [u8; 32],
    /// Output of `rustc -V`.
    pub toolchain: [u8; 64],
    /// The target triple.
    pub target: [u8; 48],
}

/// Size of [`Note`] in the file.
pub const NOTE_SIZE: usize = size_of::<Note>();

const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let (mut out, mut rest, mut at) = ([0; N], text.as_bytes(), 0);
    // the last byte stays NUL
    while let ([first, tail @ ..], true) = (rest, at + 1 < N) {
        let (_, slot) = out.split_at_mut(at);
        if let [byte, ..] = slot {
            *byte = *first;
        }
        rest = tail;
        at += 1;
    }
    out
}

impl Note {
    /// The manifest of a plugin; `export_plugin!` calls this at compile time.
    pub const fn new(name: &str, version: &str, kinds: u32, flags: u32) -> Self {
        Self {
            magic: MAGIC,
            // JUSTIFICATION for the cast: 232 fits
            #[allow(clippy::cast_possible_truncation, reason = "the size is 232 bytes")]
            size: NOTE_SIZE as u32,
            api_major: API_MAJOR,
            api_minor: API_MINOR,
            kinds,
            flags,
            name: padded(name),
            version: padded(version),
            toolchain: padded(TOOLCHAIN),
            target: padded(TARGET),
        }
    }

    /// Reads a manifest from the first bytes of its section; `None` when they are too few or not one.
    pub fn parse(section: &[u8]) -> Option<Self> {
        let mut reader = Reader(section);
        let note = Self {
            magic: reader.take()?,
            size: u32::from_ne_bytes(reader.take()?),
            api_major: u16::from_ne_bytes(reader.take()?),
            api_minor: u16::from_ne_bytes(reader.take()?),
            kinds: u32::from_ne_bytes(reader.take()?),
            flags: u32::from_ne_bytes(reader.take()?),
            name: reader.take()?,
            version: reader.take()?,
            toolchain: reader.take()?,
            target: reader.take()?,
        };
        (note.magic == MAGIC && usize::try_from(note.size).is_ok_and(|size| size >= NOTE_SIZE))
            .then_some(note)
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        text(&self.name)
    }

    /// The plugin's version.
    pub fn version(&self) -> &str {
        text(&self.version)
    }

    /// The compiler.
    pub fn toolchain(&self) -> &str {
        text(&self.toolchain)
    }

    /// The target triple.
    pub fn target(&self) -> &str {
        text(&self.target)
    }
}

fn text(padded: &[u8]) -> &str {
    let text = padded.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).unwrap_or("(not UTF-8)")
}

/// A plugin's metadata as JSON, put together by the compiler: its fields are the pieces of one text, plain data without
/// relocations. `N`, `V` and `D` are lengths of escaped texts ([`escaped_len`]), `S` is the length of the schema.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Metadata<const N: usize, const V: usize, const D: usize, const S: usize> {
    before_name: [u8; 9],
    name: [u8; N],
    before_version: [u8; 13],
    version: [u8; V],
    before_description: [u8; 17],
    description: [u8; D],
    before_schema: [u8; 17],
    schema: [u8; S],
    end: [u8; 1],
}

impl<const N: usize, const V: usize, const D: usize, const S: usize> Metadata<N, V, D, S> {
    /// The metadata of a plugin; `export_plugin!` calls this at compile time. The schema must be JSON itself.
    pub const fn new(name: &str, version: &str, description: &str, schema: &str) -> Self {
        Self {
            before_name: *b"{\"name\":\"",
            name: escaped(name),
            before_version: *b"\",\"version\":\"",
            version: escaped(version),
            before_description: *b"\",\"description\":\"",
            description: escaped(description),
            before_schema: *b"\",\"configSchema\":",
            // taken over in one piece: a loop over a long schema would be too much for the compiler's patience
            schema: match schema.as_bytes().first_chunk() {
                Some(schema) => *schema,
                None => [b' '; S],
            },
            end: *b"}",
        }
    }
}

/// Length of a text inside of a JSON string.
pub const fn escaped_len(text: &str) -> usize {
    let (mut length, mut rest) = (0, text.as_bytes());
    while let [byte, tail @ ..] = rest {
        length += if needs_escape(*byte) { 6 } else { 1 };
        rest = tail;
    }
    length
}

/// Whether a byte cannot stand for itself inside of a JSON string.
const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A text for the inside of a JSON string; what is special becomes `\u00XX`.
const fn escaped<const N: usize>(text: &str) -> [u8; N] {
    let (mut out, mut rest, mut at) = ([b' '; N], text.as_bytes(), 0);
    while let [byte, tail @ ..] = rest {
        let (_, slot) = out.split_at_mut(at);
        if needs_escape(*byte) {
            if let Some(slot) = slot.first_chunk_mut() {
                *slot = [
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    hex_digit(*byte >> 4),
                    hex_digit(*byte & 15),
                ];
            }
            at += 6;
        } else {
            if let Some(slot) = slot.first_chunk_mut() {
                *slot = [*byte];
            }
            at += 1;
        }
        rest = tail;
    }
    out
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(note: &Note) -> Vec<u8> {
        let mut out = note.magic.to_vec();
        out.extend(note.size.to_ne_bytes());
        out.extend(note.api_major.to_ne_bytes());
        out.extend(note.api_minor.to_ne_bytes());
        out.extend(note.kinds.to_ne_bytes());
        out.extend(note.flags.to_ne_bytes());
        for text in [&note.name[..], &note.version, &note.toolchain, &note.target] {
            out.extend(text);
        }
        out
    }

    #[test]
    fn a_note_survives_its_bytes() {
        let note = Note::new("mspid-allow", "0.3.1", KIND_AUTH_FILTER, FLAG_UNWIND);
        assert_eq!(bytes(&note).len(), NOTE_SIZE);
        let read = Note::parse(&bytes(&note)).unwrap();
        assert_eq!(read, note);
        assert_eq!(
            (read.name(), read.version(), read.target()),
            ("mspid-allow", "0.3.1", TARGET)
        );
        assert!(read.toolchain().starts_with("rustc "));
    }

    #[test]
    fn metadata_are_one_json_text() {
        const NAME: &str = "a\"b";
        const DESCRIPTION: &str = "Grüße,\n\\ and a \u{1} tab\t.";
        const SCHEMA: &str = r#"{"type": "object"}"#;
        static METADATA: Metadata<
            { escaped_len(NAME) },
            { escaped_len("1.0") },
            { escaped_len(DESCRIPTION) },
            { SCHEMA.len() },
        > = Metadata::new(NAME, "1.0", DESCRIPTION, SCHEMA);
        let Metadata {
            before_name,
            name,
            before_version,
            version,
            before_description,
            description,
            before_schema,
            schema,
            end,
        } = METADATA;
        let text = [
            &before_name[..],
            &name,
            &before_version,
            &version,
            &before_description,
            &description,
            &before_schema,
            &schema,
            &end,
        ]
        .concat();
        assert_eq!(size_of_val(&METADATA), text.len(), "there is no padding");
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": NAME,
                "version": "1.0",
                "description": DESCRIPTION,
                "configSchema": { "type": "object" },
            })
        );
    }

    #[test]
    fn long_names_are_cut_and_garbage_is_refused() {
        assert_eq!(Note::new(&"x".repeat(100), "1", 0, 0).name().len(), 63);
        assert_eq!(Note::parse(b"FABPLUG\0"), None);
        let mut forged = bytes(&Note::new("x", "1", 1, 1));
        forged[0] = b'X';
        assert_eq!(Note::parse(&forged), None);
    }
}
