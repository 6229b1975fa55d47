//! Maps that every call and every event asks several times.

use std::collections::HashMap;

/// By ids that are drawn here, or by digests. Nobody outside can choose such keys so that they collide, and
/// not to fear that is several times quicker than std's hash.
pub(crate) type IdMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
