//! [`AuditFile`]: a file that only grows, and moves away when it is large.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only the owner reads and writes it.
const MODE: u32 = 0o600;
/// Bits of those who may change the file beside its owner.
const OTHERS_WRITE: u32 = 0o022;

/// Where records go.
pub(crate) struct AuditFile {
    path: PathBuf,
    max_size: u64,
    keep: u32,
    file: File,
    /// How much of the lines that could not be written as a whole is in the file.
    unfinished: usize,
    /// The file ends in the middle of a line that will never be finished.
    torn: bool,
}

impl AuditFile {
    pub(crate) fn open(path: &Path, max_size: u64, keep: u32) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            max_size,
            keep,
            file: append_to(path)?,
            unfinished: 0,
            torn: false,
        })
    }

    /// Writes lines. After an error the same lines (and any after them) are to be written again, or given up with
    /// [`Self::give_up`]: what of them is in the file already is left out.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.unfinished == 0 {
            self.follow(lines.len())?;
        }
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        while let Some(rest @ [_, ..]) = lines.get(self.unfinished..) {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.unfinished += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unfinished = 0;
        Ok(())
    }

    /// The lines that could not be written will not come again.
    pub(crate) fn give_up(&mut self) {
        self.torn |= self.unfinished > 0;
        self.unfinished = 0;
    }

    /// Opens the file again if it is not at its path any more; moves it away if it would become too large.
    fn follow(&mut self, coming: usize) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let there = match fs::metadata(&self.path) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if !there.is_some_and(|there| same(&ours, &there)) {
            self.file = append_to(&self.path)?;
            return Ok(());
        }
        let size = ours
            .len()
            .saturating_add(u64::try_from(coming).unwrap_or(u64::MAX));
        if ours.len() > 0 && size > self.max_size {
            self.rotate()?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        self.file = append_to(&self.path)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn append_to(path: &Path) -> io::Result<File> {
    // opening a pipe would wait for its reader
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & OTHERS_WRITE != 0 {
        return Err(io::Error::other(format!(
            "others may write it (mode {:o}): take that right away",
            mode & 0o777
        )));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<(String, String)> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_large_file_moves_away_and_so_many_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = AuditFile::open(&path, 8, 2).unwrap();
        for line in [
            "one\n",
            "two\n",
            "three\n",
            "four\n",
            "a line beyond it\n",
            "six\n",
        ] {
            file.write(line.as_bytes()).unwrap();
        }
        let expected = [
            ("audit.log", "six\n"),
            ("audit.log.1", "a line beyond it\n"),
            ("audit.log.2", "four\n"),
        ];
        assert_eq!(
            names(folder.path()),
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = AuditFile::open(&path, 1000, 2).unwrap();
        file.write(b"one\n").unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        file.write(b"two\n").unwrap();
        fs::remove_file(&path).unwrap();
        file.write(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), "one\n");
        // a second writer appends
        AuditFile::open(&path, 1000, 2).unwrap().write(b"four\n").unwrap();
        file.write(b"five\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\nfour\nfive\n");
    }

    #[test]
    fn what_was_written_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = AuditFile::open(&path, 1000, 2).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut file.file, full);
        // as after a write that was cut short
        file.unfinished = 2;
        let error = file.write(b"one\ntwo\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        file.file = good;
        file.write(b"one\ntwo\nmore\n").unwrap();
        file.write(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "e\ntwo\nmore\nthree\n");
        // given up in the middle of a line
        file.file.write_all(b"fo").unwrap();
        file.unfinished = 2;
        file.give_up();
        file.write(b"five\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("three\nfo\nfive\n"), "{text}");
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = AuditFile::open(folder.path(), 8, 2).err().unwrap();
        assert!(error.to_string().contains("no regular file"), "{error}");
        let path = folder.path().join("audit.log");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        let error = AuditFile::open(&path, 8, 2).err().unwrap();
        assert!(error.to_string().contains("mode 620"), "{error}");
    }
}
