//! Pseudofile models: Penguin's, turned into what the embedded emulator has.

mod interfaces;

use std::path::{Component, Path, PathBuf};

use rookery_project::penguin::device_models::{IoctlModel, ReadModel, WriteModel};
use rookery_project::{Error, Result, rules};
use serde_json::{Map, Value};

use crate::plan::notes::Notes;
use crate::plan::paths::{in_project, is_guest_path, read_head};
use crate::plan::{Ioctl, IoctlCommand, Poll, Pseudofile, Read, Write};

pub(super) use interfaces::interface_ioctls;

/// Bytes of a path that a write model may name.
const NAME_MAX: usize = 200;
/// A larger model is cut.
const MAX_BYTES: usize = 4 << 20;
const DEFAULT_MAP_SIZE: u64 = 0x10000;
/// Of `poll: periodic` (Penguin's `models/poll.py`).
const DEFAULT_INTERVAL_MS: u32 = 1000;

/// Turn the section `pseudofiles` into models.
pub(crate) fn pseudofiles(
    section: &Map<String, Value>,
    project_dir: &Path,
    notes: &mut Notes,
) -> Result<Vec<(String, Pseudofile)>> {
    let mut models = Vec::new();
    for (path, entry) in section {
        if !rules::is_pseudofile_path(path) || !is_guest_path(path) {
            notes.about(
                "pseudofiles need a plain path below /dev, /proc or /sys; skipped",
                path.as_str(),
            );
            continue;
        }
        let reader = Reader { path, project_dir };
        models.push((path.clone(), reader.pseudofile(entry, notes)?));
    }
    Ok(models)
}

/// A file with those of its models replaced that `models` has, in a guest that runs.
pub fn remodelled(
    old: Option<&Pseudofile>,
    path: &str,
    models: &Map<String, Value>,
    project_dir: &Path,
    notes: &mut Notes,
) -> Result<Pseudofile> {
    let reader = Reader { path, project_dir };
    let new = reader.pseudofile(&Value::Object(models.clone()), notes)?;
    let mut file = old.cloned().unwrap_or_default();
    for operation in models.keys() {
        match operation.as_str() {
            "read" => file.read.clone_from(&new.read),
            "write" => file.write.clone_from(&new.write),
            "size" => file.size = new.size,
            "poll" => file.poll = new.poll,
            "lseek" => file.unseekable = new.unseekable,
            "ioctl" => {
                let given: Vec<_> = new.ioctl.iter().map(|(command, _)| *command).collect();
                file.ioctl.retain(|(command, _)| !given.contains(command));
                file.ioctl.extend(new.ioctl.iter().cloned());
            }
            _ => {}
        }
    }
    if matches!(&file.write, Write::ToFile(_)) && old.is_none_or(|old| old.write != file.write) {
        return Err(Error::InvalidArgument(format!(
            "write of {path} goes to a file, which is made when a run begins: make this change \
             without run_id, and run again"
        )));
    }
    Ok(file)
}

struct Reader<'a> {
    path: &'a str,
    project_dir: &'a Path,
}

impl Reader<'_> {
    fn pseudofile(&self, entry: &Value, notes: &mut Notes) -> Result<Pseudofile> {
        let mut model = Pseudofile {
            size: entry.get("size").and_then(Value::as_u64),
            ..Pseudofile::default()
        };
        for (operation, value) in entry.as_object().into_iter().flatten() {
            match operation.as_str() {
                "read" => model.read = self.read(value, notes)?,
                "write" => model.write = self.write(value, notes)?,
                "ioctl" => model.ioctl = self.ioctl(value, notes)?,
                "size" | "name" => {}
                "poll" if model_name(value) == "always_ready" => {}
                "poll" if model_name(value) == "blocking" => model.poll = Poll::Never,
                "poll" if model_name(value) == "periodic" => {
                    let interval = value.get("interval_ms").and_then(Value::as_u64);
                    let interval = interval.and_then(|ms| u32::try_from(ms).ok());
                    model.poll = Poll::Periodic(interval.unwrap_or(DEFAULT_INTERVAL_MS).max(1));
                }
                "lseek" if model_name(value) == "default" => {}
                "lseek" if model_name(value) == "unsupported" => model.unseekable = true,
                _ if value.is_null() => {}
                other => notes.about(
                    "pseudofile operations that are not honoured",
                    format!("{} of {}", other, self.path),
                ),
            }
        }
        Ok(model)
    }

    fn read(&self, value: &Value, notes: &mut Notes) -> Result<Read> {
        let Some(model) = ReadModel::by_name(model_name(value)) else {
            return Err(self.unknown("read", value));
        };
        let bytes = match model {
            ReadModel::Default => return Ok(Read::Default),
            ReadModel::Zero => b"0".to_vec(),
            ReadModel::One => b"1".to_vec(),
            ReadModel::Empty => Vec::new(),
            ReadModel::ConstBuf => {
                let mut bytes = text(value, "val").into_bytes();
                if ["null_terminate", "nul_terminate"]
                    .iter()
                    .any(|key| value.get(key).and_then(Value::as_bool) == Some(true))
                {
                    bytes.push(0);
                }
                bytes
            }
            ReadModel::Stateful => {
                let initial = text(value, "initial").into_bytes();
                return Ok(Read::Stateful(self.cut(initial, notes)));
            }
            ReadModel::ConstMap => self.const_map(value)?,
            ReadModel::FromFile => self.file(value, notes).unwrap_or_default(),
            ReadModel::ConstMapFile => match in_project(self.project_dir, &text(value, "filename"))
            {
                Some(_) => self.file(value, notes).unwrap_or_default(),
                None => self.const_map(value)?,
            },
            ReadModel::Cycle => {
                return Ok(Read::Cycle(
                    self.cut(text(value, "val").into_bytes(), notes),
                ));
            }
            ReadModel::Sequence => {
                let entries = value.get("vals").and_then(Value::as_array);
                let entry = |entry: &Value| self.cut(plain(entry).into_bytes(), notes);
                return Ok(Read::Sequence {
                    entries: entries.into_iter().flatten().map(entry).collect(),
                    wraps: value.get("cycle").and_then(Value::as_bool) == Some(true),
                });
            }
            ReadModel::FromPlugin | ReadModel::Custom => {
                notes.about(
                    "read models that need Penguin's plugins are not honoured; reading gives \
                     nothing",
                    format!("{} of {}", model.name(), self.path),
                );
                Vec::new()
            }
        };
        Ok(Read::Bytes(self.cut(bytes, notes)))
    }

    fn write(&self, value: &Value, notes: &mut Notes) -> Result<Write> {
        let Some(model) = WriteModel::by_name(model_name(value)) else {
            return Err(self.unknown("write", value));
        };
        Ok(match model {
            WriteModel::Default => Write::Record,
            WriteModel::Discard => Write::Discard,
            WriteModel::Unhandled => Write::Unhandled,
            WriteModel::ReturnConst => {
                let value = value.get("const").and_then(Value::as_i64);
                Write::Return(value.and_then(|v| i32::try_from(v).ok()).unwrap_or(0))
            }
            WriteModel::ToFile => self.written_file(value, notes),
            WriteModel::FromPlugin | WriteModel::Custom => {
                notes.about(
                    "write models that are not honoured; what is written is accepted",
                    format!("{} of {}", model.name(), self.path),
                );
                Write::Discard
            }
        })
    }

    /// Penguin writes to a file of the project. What a guest writes comes into the run's results
    /// here, so that it replaces nothing of the project.
    fn written_file(&self, value: &Value, notes: &mut Notes) -> Write {
        let name = text(value, "filename");
        let path = PathBuf::from(&name);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.is_empty() || name.len() > NAME_MAX || !path.components().all(plain) {
            notes.about(
                "files of write models that are not plain paths below the project; what is \
                 written is accepted and forgotten",
                format!("{name} of {}", self.path),
            );
            return Write::Discard;
        }
        Write::ToFile(path)
    }

    fn ioctl(&self, value: &Value, notes: &mut Notes) -> Result<Vec<(IoctlCommand, Ioctl)>> {
        if value.get("model").is_some_and(Value::is_string) {
            return Ok(vec![(IoctlCommand::Any, self.answer(value, notes)?)]);
        }
        let mut answers = Vec::new();
        for (command, model) in value.as_object().into_iter().flatten() {
            answers.push((self.commanded(command)?, self.answer(model, notes)?));
        }
        Ok(answers)
    }

    fn commanded(&self, text: &str) -> Result<IoctlCommand> {
        match text {
            "*" => Ok(IoctlCommand::Any),
            text => self.command(text).map(IoctlCommand::Number),
        }
    }

    fn command(&self, text: &str) -> Result<u32> {
        rules::ioctl_number(text).ok_or_else(|| {
            let path = self.path;
            Error::InvalidArgument(format!(
                "pseudofiles.{path}.ioctl has the command {text:?}; it must be a number from 0 to \
                 4294967295 or \"*\""
            ))
        })
    }

    /// The schema refuses it before a plan is made.
    fn unknown(&self, operation: &str, value: &Value) -> Error {
        let model = value.get("model").unwrap_or(&Value::Null);
        Error::InvalidArgument(format!(
            "pseudofiles.{}.{operation} has the model {model}, which does not exist",
            self.path
        ))
    }

    fn answer(&self, value: &Value, notes: &mut Notes) -> Result<Ioctl> {
        let Some(model) = IoctlModel::by_name(model_name(value)) else {
            return Err(self.unknown("ioctl", value));
        };
        let val = value.get("val").and_then(Value::as_i64).unwrap_or_default();
        Ok(match model {
            IoctlModel::ReturnConst => Ioctl::Return(val),
            IoctlModel::Zero => Ioctl::Return(0),
            IoctlModel::Unhandled => Ioctl::Unhandled,
            IoctlModel::WriteData => Ioctl::WriteData(text(value, "data").into_bytes(), val),
            IoctlModel::FromPlugin => {
                notes.about(
                    "ioctl models that need Penguin's plugins are not honoured; the answer is 0",
                    format!("{} of {}", model.name(), self.path),
                );
                Ioctl::Return(0)
            }
        })
    }

    fn file(&self, value: &Value, notes: &mut Notes) -> Option<Vec<u8>> {
        let name = text(value, "filename");
        let read =
            in_project(self.project_dir, &name).and_then(|path| read_head(&path, MAX_BYTES).ok());
        if read.is_none() {
            notes.about(
                "files of read models that are not readable files of the project; reading gives \
                 nothing",
                format!("{name} of {}", self.path),
            );
        }
        let (bytes, more) = read?;
        if more {
            notes.about("read models are cut at 4 MiB", self.path);
        }
        Some(bytes)
    }

    /// A sparse buffer: `vals` at their offsets, `pad` between them.
    fn const_map(&self, value: &Value) -> Result<Vec<u8>> {
        let invalid = |what: String| {
            Error::InvalidArgument(format!("pseudofiles.{}.read: {what}", self.path))
        };
        let size = value
            .get("size")
            .and_then(Value::as_u64)
            .unwrap_or(DEFAULT_MAP_SIZE);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let pad = match value.get("pad") {
            Some(Value::String(text)) => text.bytes().next().unwrap_or_default(),
            Some(other) => other
                .as_u64()
                .and_then(|pad| u8::try_from(pad).ok())
                .unwrap_or_default(),
            None => 0,
        };
        let mut buffer = vec![pad; size.min(MAX_BYTES)];
        for (offset, item) in value
            .get("vals")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let at: usize = offset
                .parse()
                .map_err(|_| invalid(format!("the offset {offset:?} of vals is not a number")))?;
            let bytes = map_bytes(item).ok_or_else(|| {
                invalid(format!(
                    "the value at offset {at} must be a string, a list of strings, or a list of \
                     bytes"
                ))
            })?;
            let end = at.checked_add(bytes.len()).filter(|&end| end <= size);
            let end = end.ok_or_else(|| {
                invalid(format!(
                    "the value at offset {at} reaches beyond the size of {size} bytes; make size \
                     larger"
                ))
            })?;
            // What lies beyond the cut is dropped with it.
            if let Some(room) = buffer.get_mut(at..end) {
                room.copy_from_slice(&bytes);
            }
        }
        Ok(buffer)
    }

    fn cut(&self, mut bytes: Vec<u8>, notes: &mut Notes) -> Vec<u8> {
        if bytes.len() > MAX_BYTES {
            notes.about("read models are cut at 4 MiB", self.path);
            bytes.truncate(MAX_BYTES);
        }
        bytes
    }
}

fn map_bytes(item: &Value) -> Option<Vec<u8>> {
    match item {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let strings: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            Some(strings.join("\0").into_bytes())
        }
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok()))
            .collect(),
        _ => None,
    }
}

fn model_name(value: &Value) -> &str {
    value
        .get("model")
        .and_then(Value::as_str)
        .unwrap_or("default")
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
