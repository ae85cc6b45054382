//! Keys: each is one entry of one list, which reading, checking for unknown names, showing,
//! comparing on reload and the tests of the manual all go by.

use super::value::{Kind, Node, Wrong};

/// What a key is, apart from the value it sets.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// The table it stands in; empty for the top level.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its value must be, in words.
    pub kind: String,
    /// The value it has when it is not given, as TOML; empty for none.
    pub default: String,
    /// It must be given.
    pub required: bool,
    /// A running instance takes a new value only by a restart.
    pub restart: bool,
}

impl KeyInfo {
    /// "table.name", as messages name it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }
}

/// One key of the table that becomes a `T`.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    pub(super) flags: Flags,
    pub(super) kind: fn() -> String,
    pub(super) set: fn(&mut T, &Node) -> Result<(), Vec<Wrong>>,
    pub(super) show: fn(&T) -> String,
}

/// What is special about a key.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) required: bool,
    pub(super) restart: bool,
}

/// May be absent; a reload changes it.
pub(super) const OPTIONAL: Flags = Flags { required: false, restart: false };
/// May be absent; changing it needs a restart.
pub(super) const FIXED: Flags = Flags { required: false, restart: true };
/// Must be there; a reload changes it.
pub(super) const REQUIRED: Flags = Flags { required: true, restart: false };
/// Must be there; changing it needs a restart.
pub(super) const REQUIRED_FIXED: Flags = Flags { required: true, restart: true };

/// A table of the configuration file.
pub(super) trait Table: Default + 'static {
    const NAME: &str;
    fn keys() -> Vec<Key<Self>>;

    /// Its keys for manuals and tests.
    fn describe() -> Vec<KeyInfo> {
        let default = Self::default();
        let describe = |key: Key<Self>| KeyInfo {
            table: Self::NAME,
            name: key.name,
            kind: (key.kind)(),
            default: if key.flags.required { String::new() } else { (key.show)(&default) },
            required: key.flags.required,
            restart: key.flags.restart,
        };
        Self::keys().into_iter().map(describe).collect()
    }
}

/// `keys![Table; "name" FLAGS field = kind; ...]`: the list of a table's keys. A key is a line
/// here (and one in the manual and in `configs/lwaftr.toml`, which tests insist on).
macro_rules! keys {
    ($table:ty; $($name:literal $flags:ident $($field:ident).+ = $kind:expr;)+) => {
        vec![$($crate::config::key::Key::<$table> {
            name: $name,
            flags: $crate::config::key::$flags,
            kind: || $crate::config::key::kind_name(|table: &$table| &table.$($field).+, &$kind),
            set: |table, node| {
                table.$($field).+ = $crate::config::value::Kind::read(&$kind, node)?;
                Ok(())
            },
            show: |table| $crate::config::value::Kind::show(&$kind, &table.$($field).+),
        }),+]
    };
}
pub(super) use keys;

/// The name of a kind as it is used for a field, whose type decides which `Kind` is meant.
pub(super) fn kind_name<T, V>(_field: fn(&T) -> &V, kind: &impl Kind<V>) -> String {
    kind.name()
}
