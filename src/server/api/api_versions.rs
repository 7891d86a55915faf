//! ApiVersions (key 18): what is served, straight from the protocol's table, so that nothing
//! unserved is ever advertised.

use duramen_protocol::api::{self, ApiKey};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse,
};

use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// First version that carries the client's name and version (KIP-511).
const SOFTWARE_VERSION: i16 = 3;

/// Serves a request of a version that is known.
pub(crate) fn handle(
    context: &RequestContext,
    request: ApiVersionsRequest,
) -> Reply<ApiVersionsResponse> {
    let named = is_name(&request.client_software_name) && is_name(&request.client_software_version);
    if context.api_version >= SOFTWARE_VERSION && !named {
        let error_code = ErrorCode::InvalidRequest.code();
        return Reply::Now(ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() });
    }
    if named {
        let (name, version) = (&request.client_software_name, &request.client_software_version);
        context.peer.software.get_or_init(|| context.services.software.count(name, version));
    }
    Reply::Now(ApiVersionsResponse {
        api_keys: api::TABLE.iter().map(range).collect(),
        finalized_features_epoch: context.services.image().offset(),
        ..ApiVersionsResponse::default()
    })
}

/// The answer, in version 0, to a version that is not known: the range from which the client picks
/// the version of its next try (KIP-511).
pub(crate) fn unsupported() -> ApiVersionsResponse {
    let own = api::TABLE.iter().filter(|spec| spec.key == ApiKey::ApiVersions);
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: own.map(range).collect(),
        ..ApiVersionsResponse::default()
    }
}

fn range(spec: &api::ApiSpec) -> ApiVersion {
    ApiVersion { api_key: spec.key.code(), min_version: spec.advertised_min, max_version: spec.max }
}

/// Whether a client may call itself so: letters and digits, with dots and dashes inside.
fn is_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_names_follow_kafkas_pattern() {
        for name in ["librdkafka", "apache-kafka-java", "4.3.1", "a", "9"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "a b", "ä", ".", "a\n"] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn an_unknown_version_is_told_the_range_of_this_api_alone() {
        let response = unsupported();
        assert_eq!(response.error_code, 35);
        let keys: Vec<_> =
            response.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
        assert_eq!(keys, [(18, 0, 4)]);
    }
}
