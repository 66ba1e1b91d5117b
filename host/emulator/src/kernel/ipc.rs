//! The tables of System V IPC (`sysvipc(7)`), as text: what exists, by its key and its number.

/// Which kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    SharedMemory,
    Semaphores,
    Messages,
}

impl Kind {
    /// The file that lists them (`proc_sysvipc(5)`).
    pub fn table(self) -> &'static str {
        match self {
            Self::SharedMemory => "/proc/sysvipc/shm",
            Self::Semaphores => "/proc/sysvipc/sem",
            Self::Messages => "/proc/sysvipc/msg",
        }
    }

    /// Whether a command of `shmctl` and its kin is about one object by its number; others ask
    /// about all, or count them (`linux/ipc.h`, `linux/shm.h`, `linux/sem.h`, `linux/msg.h`).
    pub fn is_of_object(self, command: i32) -> bool {
        const ON_ALL: std::ops::RangeInclusive<i32> = libc::IPC_RMID..=libc::IPC_STAT;
        let own = match self {
            Self::SharedMemory => libc::SHM_LOCK..=libc::SHM_UNLOCK,
            Self::Semaphores => libc::GETPID..=libc::SETALL,
            Self::Messages => ON_ALL,
        };
        ON_ALL.contains(&command) || own.contains(&command)
    }
}

/// One object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    pub key: i32,
    pub number: i32,
}

/// What a table lists: a line of headings, then a line for each object that begins with its key and
/// its number.
pub fn objects(table: &str) -> impl Iterator<Item = Object> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().map(str::parse);
        Some(Object {
            key: fields.next()?.ok()?,
            number: fields.next()?.ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_the_kernels_is_understood() {
        let table = "       key      shmid perms                  size  cpid\n\
                     -559038737          5   666                  4096    71\n\
                              0          6     0                   512    72\n";
        let found: Vec<_> = objects(table).map(|it| (it.key, it.number)).collect();
        assert_eq!(found, [(-559_038_737, 5), (0, 6)]);
        let own = std::fs::read_to_string(Kind::SharedMemory.table()).unwrap();
        assert!(
            own.lines()
                .next()
                .is_some_and(|line| line.contains("shmid"))
        );
        assert_eq!(objects(&own).count(), own.lines().count() - 1);
    }

    #[test]
    fn a_command_that_counts_or_takes_an_index_is_of_no_object() {
        assert!(Kind::Semaphores.is_of_object(libc::SETVAL));
        assert!(Kind::Messages.is_of_object(libc::IPC_STAT));
        assert!(!Kind::Messages.is_of_object(libc::MSG_STAT));
        assert!(!Kind::SharedMemory.is_of_object(libc::IPC_INFO));
    }
}
