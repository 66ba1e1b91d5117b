//! What a `Kernel panic` line on the console means.

/// The line, decoded.
pub struct Panic {
    /// As the console has it.
    pub line: String,
    /// The number after `exitcode=`, which Linux prints when init has ended.
    pub exit_code: Option<u32>,
}

impl Panic {
    /// Decode a console line.
    pub fn read(line: &str) -> Self {
        let digits = line.split_once("exitcode=0x").map(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_hexdigit())
                .next()
                .unwrap_or_default()
        });
        Self {
            line: line.to_owned(),
            exit_code: digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()),
        }
    }

    /// Whether init is to blame: it ended, or could not be started.
    pub fn is_of_init(&self) -> bool {
        self.exit_code.is_some()
            || [
                "No working init",
                "No init found",
                "Requested init",
                "kill init",
            ]
            .iter()
            .any(|words| self.line.contains(words))
    }

    /// In words.
    pub fn meaning(&self) -> String {
        match self.exit_code {
            Some(0) => "The kernel panicked because init ended with status 0: it is the wrong \
                        init, choose another."
                .into(),
            Some(code) if code & 0x7f != 0 => format!(
                "The kernel panicked because signal {} killed init.",
                code & 0x7f
            ),
            Some(code) => format!(
                "The kernel panicked because init ended with status {}.",
                code >> 8 & 0xff
            ),
            None if self.line.contains("mount root") => {
                "The kernel panicked because it could not mount the root filesystem.".into()
            }
            None if self.line.contains("kill init") => {
                "The kernel panicked because init ended.".into()
            }
            None if self.line.contains("Requested init") => {
                "The kernel panicked because it could not start the init that it was told to start."
                    .into()
            }
            None if self.is_of_init() => {
                "The kernel panicked because it found no init that it could run.".into()
            }
            None => "The kernel panicked.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_a_wrong_init_from_a_crash() {
        let meaning = |text: &str| Panic::read(text).meaning();
        let line = "[ 4.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x";
        assert!(meaning(&format!("{line}00000000")).contains("wrong init"));
        assert!(meaning(&format!("{line}0000000b ]---")).contains("signal 11"));
        assert!(meaning(&format!("{line}00000100")).contains("status 1."));
        assert!(
            meaning("Kernel panic - not syncing: VFS: Unable to mount root fs")
                .contains("mount the root")
        );
        assert!(meaning("Kernel panic - not syncing: No working init found.").contains("no init"));
        assert!(
            meaning("Kernel panic - not syncing: No init found.  Try passing init=")
                .contains("no init")
        );
        assert!(
            meaning("Kernel panic - not syncing: Attempted to kill init!").contains("init ended.")
        );
        let requested =
            Panic::read("Kernel panic - not syncing: Requested init /x failed (error -2).");
        assert!(requested.is_of_init() && requested.meaning().contains("could not start"));
        assert_eq!(
            meaning("Kernel panic - not syncing: exitcode=0xzz"),
            "The kernel panicked."
        );
    }
}
