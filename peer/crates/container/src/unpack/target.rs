//! Where the content of a package goes.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tar::{Builder, EntryType, Header};

/// Takes what is in a package. Names are relative, below `src` or `META-INF`, and come once.
pub trait PackageTarget {
    /// A folder; those above it have come before.
    ///
    /// # Errors
    /// When it cannot be kept, which ends the reading.
    fn folder(&mut self, name: &str) -> io::Result<()>;

    /// A file of `size` bytes; its folder has come before. What is left of `content` is skipped.
    ///
    /// # Errors
    /// When it cannot be kept, which ends the reading.
    fn file(&mut self, name: &str, size: u64, executable: bool, content: &mut dyn Read) -> io::Result<()>;
}

/// For those who only want to know whether a package is good.
pub(crate) struct Nowhere;

impl PackageTarget for Nowhere {
    fn folder(&mut self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, _: &str, _: u64, _: bool, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

/// An existing, empty folder.
pub(crate) struct Folder<'a>(pub(crate) &'a Path);

impl PackageTarget for Folder<'_> {
    fn folder(&mut self, name: &str) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    fn file(&mut self, name: &str, _: u64, executable: bool, content: &mut dyn Read) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o755 } else { 0o644 })
            .open(self.0.join(name))?;
        io::copy(content, &mut file).map(|_size| ())
    }
}

/// A tar of plain headers.
pub(crate) struct Archived<W: Write>(pub(crate) Builder<W>);

impl<W: Write> Archived<W> {
    fn append(
        &mut self,
        name: &str,
        kind: EntryType,
        mode: u32,
        (size, content): (u64, &mut dyn Read),
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        self.0.append_data(&mut header, name, content)
    }
}

impl<W: Write> PackageTarget for Archived<W> {
    fn folder(&mut self, name: &str) -> io::Result<()> {
        self.append(
            &format!("{name}/"),
            EntryType::Directory,
            0o755,
            (0, &mut io::empty()),
        )
    }

    fn file(&mut self, name: &str, size: u64, executable: bool, content: &mut dyn Read) -> io::Result<()> {
        let mode = if executable { 0o100_755 } else { 0o100_644 };
        self.append(name, EntryType::Regular, mode, (size, content))
    }
}
