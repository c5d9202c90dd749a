//! What a Service gets from the cluster's pools: an address, node ports, and which family of
//! addresses it speaks.
//!
//! Upstream: `pkg/registry/core/service/storage/alloc.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::update::{keep_allocated, node_ports, normalize_cluster_ips};
use super::validation::validate_cluster_ips;
use super::{
    HEADLESS, cluster_ips, ip_families, is_headless, is_type, needs_cluster_ip, needs_health_check,
    needs_node_ports,
};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::rules::text;
use crate::control_plane::registry::{AllocationError, ServiceRanges};

type Allocated = Result<(), AllocationError>;

pub(super) fn allocate(
    service: &mut Service,
    old: Option<&Service>,
    others: &[Arc<Service>],
    ranges: &ServiceRanges,
) -> Allocated {
    let seed = seed(service);
    let spec = service.spec.get_or_insert_default();
    let old = old.and_then(|old| old.spec.as_ref());
    if let Some(old) = old {
        keep_allocated(spec, old);
    }
    normalize_cluster_ips(spec, old);
    choose_families(spec, old)?;
    let others = others.iter().filter_map(|other| other.spec.as_ref());
    allocate_cluster_ip(spec, old, others.clone(), ranges, seed)?;
    let taken = others.flat_map(all_node_ports).collect();
    NodePorts { ranges, taken, seed }.allocate(spec, old)
}

/// Where the search for a free number begins: anywhere, so that a number just given back is not the
/// next one given out, and always the same for the same object.
fn seed(service: &Service) -> u64 {
    let mut hasher = DefaultHasher::new();
    service.metadata.uid.hash(&mut hasher);
    hasher.finish()
}

fn invalid(fault: FieldError) -> AllocationError {
    AllocationError::Invalid(vec![fault])
}

/// This cluster speaks IPv4 only.
///
/// Upstream: `initIPFamilyFields`.
fn choose_families(spec: &mut ServiceSpec, old: Option<&ServiceSpec>) -> Allocated {
    if is_type(spec, &["ExternalName"]) {
        return Ok(());
    }
    let without_selector = spec.selector.as_ref().is_none_or(BTreeMap::is_empty);
    let lone = text(&spec.cluster_ip) == HEADLESS && without_selector;
    if spec.ip_family_policy.is_none() {
        let default = if lone { "RequireDualStack" } else { "SingleStack" };
        let before = old.and_then(|old| old.ip_family_policy.clone());
        spec.ip_family_policy = Some(before.unwrap_or_else(|| default.to_owned()));
    }
    let faults = validate_cluster_ips(spec);
    if !faults.is_empty() {
        return Err(AllocationError::Invalid(faults));
    }
    let single = text(&spec.ip_family_policy) == "SingleStack";
    check_single_stack(spec, single)?;
    infer_families(spec)?;
    let families = spec.ip_families.get_or_insert_default();
    if lone {
        // Hand-written endpoints may be of any family.
        if families.is_empty() {
            families.push("IPv4".to_owned());
        }
        if families.len() == 1 && !single {
            let other = if families[0] == "IPv4" { "IPv6" } else { "IPv4" };
            families.push(other.to_owned());
        }
        return Ok(());
    }
    check_configured(spec)?;
    let families = spec.ip_families.get_or_insert_default();
    if families.is_empty() {
        families.push("IPv4".to_owned());
    }
    Ok(())
}

fn check_single_stack(spec: &ServiceSpec, single: bool) -> Allocated {
    let fault = |things: &str| {
        let path = Path::new("spec").child("ipFamilyPolicy");
        let detail = format!(
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple {things} are specified"
        );
        FieldError::invalid(path, spec.ip_family_policy.clone(), detail)
    };
    let many = [(cluster_ips(spec), "cluster IPs"), (ip_families(spec), "IP families")];
    let faults: Vec<FieldError> = many
        .into_iter()
        .filter(|(list, _)| single && list.len() == 2)
        .map(|(_, things)| fault(things))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(AllocationError::Invalid(faults)) }
}

/// An address says its family.
fn infer_families(spec: &mut ServiceSpec) -> Allocated {
    if is_headless(spec) {
        return Ok(());
    }
    let known = ip_families(spec).len();
    for (index, ip) in cluster_ips(spec).to_vec().iter().enumerate().skip(known) {
        if ip.parse::<Ipv4Addr>().is_err() {
            let path = Path::new("spec").child("clusterIPs").index(index);
            let ips = cluster_ips(spec).to_vec();
            let detail = "IPv6 is not configured on this cluster";
            return Err(invalid(FieldError::invalid(path, ips, detail)));
        }
        spec.ip_families.get_or_insert_default().push("IPv4".to_owned());
    }
    Ok(())
}

fn check_configured(spec: &ServiceSpec) -> Allocated {
    let path = Path::new("spec");
    let mut faults = Vec::new();
    if text(&spec.ip_family_policy) == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        let policy = spec.ip_family_policy.clone();
        faults.push(FieldError::invalid(path.child("ipFamilyPolicy"), policy, detail));
    }
    for (index, family) in ip_families(spec).iter().enumerate().filter(|(_, f)| *f != "IPv4") {
        let path = path.child("ipFamilies").index(index);
        faults.push(FieldError::invalid(path, family.as_str(), "not configured on this cluster"));
    }
    if faults.is_empty() { Ok(()) } else { Err(AllocationError::Invalid(faults)) }
}

fn allocate_cluster_ip<'a>(
    spec: &mut ServiceSpec,
    old: Option<&ServiceSpec>,
    others: impl Iterator<Item = &'a ServiceSpec>,
    ranges: &ServiceRanges,
    seed: u64,
) -> Allocated {
    // What a Service has it keeps; that it is the same is for validation to say.
    let is_new = old.is_none_or(|old| !needs_cluster_ip(old));
    if !needs_cluster_ip(spec) || is_headless(spec) || !is_new {
        return Ok(());
    }
    let taken: BTreeSet<Ipv4Addr> =
        others.flat_map(cluster_ips).filter_map(|ip| ip.parse().ok()).collect();
    let ip = match cluster_ips(spec).first() {
        Some(chosen) => check_cluster_ip(chosen, cluster_ips(spec), &taken, ranges)?,
        None => free_cluster_ip(&taken, ranges, seed)?,
    };
    spec.cluster_ip = Some(ip.to_string());
    spec.cluster_ips = Some(vec![ip.to_string()]);
    Ok(())
}

fn check_cluster_ip(
    chosen: &str,
    all: &[String],
    taken: &BTreeSet<Ipv4Addr>,
    ranges: &ServiceRanges,
) -> Result<Ipv4Addr, AllocationError> {
    let fault = |cause: String| {
        let path = Path::new("spec").child("clusterIPs");
        let detail = format!("failed to allocate IP {chosen}: {cause}");
        invalid(FieldError::invalid(path, all.to_vec(), detail))
    };
    let range = &ranges.cluster_ips;
    match chosen.parse::<Ipv4Addr>() {
        Ok(ip) if ip <= range.network() || ip >= range.broadcast() => Err(fault(format!(
            "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}"
        ))),
        Ok(ip) if taken.contains(&ip) => Err(fault("provided IP is already allocated".to_owned())),
        Ok(ip) => Ok(ip),
        Err(_) => Err(fault("it is no IPv4 address".to_owned())),
    }
}

fn free_cluster_ip(
    taken: &BTreeSet<Ipv4Addr>,
    ranges: &ServiceRanges,
    seed: u64,
) -> Result<Ipv4Addr, AllocationError> {
    let count = ranges.addresses();
    let offsets = in_bands(1, count, band(count, 16, 256), seed);
    let mut free = offsets.map(|offset| ranges.nth(offset)).filter(|ip| !taken.contains(ip));
    let exhausted =
        || AllocationError::Exhausted("failed to allocate a serviceIP: range is full".to_owned());
    free.next().ok_or_else(exhausted)
}

/// The beginning of a range is left to those who choose for themselves, as long as there is room
/// behind it.
///
/// Upstream: `calculateRangeOffset`: a sixteenth of the range (ports: a thirty-second), within bounds.
fn band(count: u32, min: u32, max: u32) -> u32 {
    if count <= min { 0 } else { (count / 16).clamp(min, max) }
}

/// All of `count` numbers from `first` on: those behind the band, from anywhere on and around, then
/// those of the band.
fn in_bands(first: u32, count: u32, band: u32, seed: u64) -> impl Iterator<Item = u32> {
    let behind = count - band;
    let start = u32::try_from(seed % u64::from(behind.max(1))).unwrap_or(0);
    let around = (0..behind).map(move |step| (start + step) % behind + band);
    around.chain(0..band).map(move |offset| first + offset)
}

/// Node ports and the port of health checks are of one pool.
fn all_node_ports(spec: &ServiceSpec) -> BTreeSet<i32> {
    let mut ports = node_ports(spec);
    ports.extend(spec.health_check_node_port.filter(|port| *port != 0));
    ports
}

struct NodePorts<'a> {
    ranges: &'a ServiceRanges,
    /// By number: one number is one Service's, whatever the protocol.
    taken: BTreeSet<i32>,
    seed: u64,
}

impl NodePorts<'_> {
    fn allocate(mut self, spec: &mut ServiceSpec, old: Option<&ServiceSpec>) -> Allocated {
        let own = old.map(node_ports).unwrap_or_default();
        if needs_node_ports(spec) {
            // What is chosen comes first, so that a free number does not take it.
            for index in 0..spec.ports.iter().flatten().count() {
                self.take_chosen(spec, index, &own, old.is_none())?;
            }
            for index in 0..spec.ports.iter().flatten().count() {
                self.fill_in(spec, index, old.is_none())?;
            }
        }
        self.allocate_health_check(spec, old)
    }

    fn take_chosen(
        &mut self,
        spec: &ServiceSpec,
        index: usize,
        own: &BTreeSet<i32>,
        is_new: bool,
    ) -> Allocated {
        let ports = spec.ports.as_deref().unwrap_or_default();
        let number = ports[index].node_port.unwrap_or(0);
        // One port of two protocols has one number at the nodes too.
        let shared = ports[..index].iter().any(|earlier| {
            earlier.node_port == Some(number) && (!is_new || earlier.port == ports[index].port)
        });
        if number == 0 || shared || own.contains(&number) {
            self.taken.insert(number);
            return Ok(());
        }
        self.take(number).map_err(|cause| {
            let path = Path::new("spec").child("ports").index(index).child("nodePort");
            invalid(FieldError::invalid(path, number, cause))
        })
    }

    fn fill_in(&mut self, spec: &mut ServiceSpec, index: usize, is_new: bool) -> Allocated {
        let wanted = !is_type(spec, &["LoadBalancer"])
            || spec.allocate_load_balancer_node_ports.unwrap_or(true);
        let Some(ports) = spec.ports.as_mut() else { return Ok(()) };
        if ports[index].node_port.unwrap_or(0) != 0 || !wanted {
            return Ok(());
        }
        let number = ports[index].port;
        let sibling =
            ports.iter().find(|port| port.port == number && port.node_port.unwrap_or(0) != 0);
        let shared = sibling.filter(|_| is_new).and_then(|sibling| sibling.node_port);
        ports[index].node_port = match shared {
            Some(shared) => Some(shared),
            None => Some(self.next("nodePort")?),
        };
        Ok(())
    }

    fn allocate_health_check(
        &mut self,
        spec: &mut ServiceSpec,
        old: Option<&ServiceSpec>,
    ) -> Allocated {
        if !needs_health_check(spec) || old.is_some_and(needs_health_check) {
            return Ok(());
        }
        let number = spec.health_check_node_port.unwrap_or(0);
        if number == 0 {
            spec.health_check_node_port = Some(self.next("HealthCheck NodePort 0")?);
            return Ok(());
        }
        self.take(number).map_err(|cause| {
            let path = Path::new("spec").child("healthCheckNodePort");
            let detail =
                format!("failed to allocate requested HealthCheck NodePort {number}: {cause}");
            invalid(FieldError::invalid(path, number, detail))
        })
    }

    fn take(&mut self, number: i32) -> Result<(), String> {
        let range = &self.ranges.node_ports;
        if !u16::try_from(number).is_ok_and(|number| range.contains(&number)) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                range.start(),
                range.end()
            ));
        }
        let free = self.taken.insert(number);
        if free { Ok(()) } else { Err("provided port is already allocated".to_owned()) }
    }

    fn next(&mut self, what: &str) -> Result<i32, AllocationError> {
        let range = &self.ranges.node_ports;
        let (first, count) = (u32::from(*range.start()), u32::try_from(range.len()).unwrap_or(0));
        let band = if count <= 16 { 0 } else { (count / 32).clamp(16, 128) };
        let mut numbers = in_bands(first, count, band, self.seed)
            .filter_map(|number| i32::try_from(number).ok())
            .filter(|number| !self.taken.contains(number));
        let number = numbers.next().ok_or_else(|| {
            AllocationError::Exhausted(format!("failed to allocate a {what}: range is full"))
        })?;
        self.taken.insert(number);
        Ok(number)
    }
}
