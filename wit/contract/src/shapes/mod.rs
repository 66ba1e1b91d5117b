//! What functions of the host give.

mod answers;
mod binaries;
mod config;
mod firmware;
mod http;
mod live;
mod notes;
mod results;
mod running;
mod words;

pub use self::answers::{
    AskedService, AskedServices, SERVICE_ANSWERS, ServiceAnswer, ServiceAnswers, ServiceCounts,
};
pub use self::binaries::{FoundString, Strings, Symbol, SymbolKind, SymbolSide, Symbols};
pub use self::config::{
    Change, Effective, EffectiveConfig, InitCandidate, Layer, Lookup, NewProject, Patch, Revision,
    ToldChange,
};
pub use self::firmware::{
    DirectoryEntry, ElfHeaders, FileStat, FoundFile, FoundFiles, InitCandidates, Listing,
};
pub use self::http::{HttpAnswer, HttpHeader, HttpRedirect, TlsPeer};
pub use self::live::{
    GuestPlugin, Hook, HookOutput, HookWay, Hooked, Hooks, PluginControl, Snapshot, Snapshots,
    Snapshotted, Unhooked,
};
pub use self::notes::Note;
pub use self::results::{
    ListedRun, Match, Matches, NewerRun, ResultFile, ResultsStatus, Rows, RunList, Table, Text,
};
pub use self::running::{Capabilities, CommandOutput, Endpoint, Reached, Received, RunStatus};
pub use self::words::{AnswerKind, EntryKind, ResultsState, RunState};
