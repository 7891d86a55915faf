//! Which version of each API both sides speak (KIP-35, KIP-511), pure.

use duramen_protocol::api::{ApiKey, VersionRange};
use duramen_protocol::messages::{ApiVersionsResponse, Message};

use super::error::CallError;

/// What one broker serves, as it said itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerVersions {
    ranges: Vec<(i16, VersionRange)>,
}

impl BrokerVersions {
    /// Reads an ApiVersions answer.
    #[must_use]
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let range = |min, max| VersionRange::new(min, max);
        let mut ranges: Vec<_> = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, range(api.min_version, api.max_version)))
            .collect();
        ranges.sort_unstable_by_key(|(key, _)| *key);
        Self { ranges }
    }

    /// The versions of an API that the broker named.
    #[must_use]
    pub fn of(&self, api: ApiKey) -> Option<VersionRange> {
        let at = self.ranges.binary_search_by_key(&api.code(), |(key, _)| *key).ok()?;
        self.ranges.get(at).map(|(_, range)| *range)
    }

    /// The highest version of `M` that both sides speak, not above `cap`.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] when the ranges do not meet.
    pub fn pick<M: Message>(&self, cap: i16) -> Result<i16, CallError> {
        let (ours, theirs) = (M::VERSIONS, self.of(M::KEY));
        theirs
            .map(|theirs| (theirs.min.max(ours.min), theirs.max.min(ours.max).min(cap)))
            .filter(|(lowest, highest)| lowest <= highest)
            .map(|(_, highest)| highest)
            .ok_or(CallError::Unsupported { api: M::KEY, ours, theirs })
    }
}
