//! DescribeCluster (key 60): the cluster's id and its nodes (KIP-700, KIP-919).

use crate::codec::declare;

declare! {
    /// Asks for the nodes of the cluster.
    request DescribeClusterRequest -> DescribeClusterResponse, DescribeCluster 0-2 {
        /// Whether to tell what the client may do with the cluster.
        include_cluster_authorized_operations: bool (0+),
        /// 1 asks for brokers, 2 for controllers.
        endpoint_type: int8 (1+, default 1),
        /// Whether to tell of brokers that are fenced (KIP-1073).
        include_fenced_brokers: bool (2+),
    }

    /// The nodes.
    response DescribeClusterResponse, DescribeCluster 0-2 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+),
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (0+, nullable 0+, default null),
        /// 1 when the nodes are brokers, 2 when they are controllers.
        endpoint_type: int8 (1+, default 1),
        /// The cluster's id.
        cluster_id: string (0+),
        /// The node to send changes of topics and configurations to; -1 for none.
        controller_id: int32 (0+, default -1),
        /// The nodes.
        brokers: [DescribeClusterBroker] (0+),
        /// What the client may do with the cluster, one bit an operation; `i32::MIN` if not asked.
        cluster_authorized_operations: int32 (0+, default -2147483648),
    }

    /// A node.
    struct DescribeClusterBroker {
        /// Its id.
        broker_id: int32 (0+),
        /// The host name to connect to.
        host: string (0+),
        /// The port to connect to.
        port: int32 (0+),
        /// Its rack.
        rack: string (0+, nullable 0+, default null),
        /// Whether it is fenced.
        is_fenced: bool (2+),
    }
}
