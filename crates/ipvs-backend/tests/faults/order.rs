//! The order of every plan: wherever the process is killed, nobody is left worse off than before
//! or after, and a later process knows what is ours.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipvs_backend::NodePlan;
use ipvs_backend::ledger::{Ledger, Touched};
use ipvs_backend::marks::MarkRange;
use ipvs_backend::netlink::ipset::Entry;
use ipvs_backend::netlink::ipvs::{DestinationId, ServiceId};
use ipvs_backend::object::{Shared, internal_service_id, service_id, shared};
use ipvs_backend::observe::Observed;
use ipvs_backend::op::Step;
use ipvs_backend::ownership::Ownership;
use ipvs_backend::plan::{Agenda, Part, plan, set_steps};
use ipvs_backend::set::{Purpose, SetId};
use proptest::collection::vec;
use proptest::prelude::*;
use proxy_core::{
    Admission, Delta, DesiredState, Locality, Pool, Vip, VirtualServer, VirtualServerKey,
};

use crate::kernel::NODE_ADDRESSES;
use crate::world::{desired, event};

proptest! {
    #[test]
    fn every_beginning_of_a_plan_can_be_the_end(
        first in vec(event(), 1..12),
        then in vec(event(), 1..6),
    ) {
        let before = desired(&first);
        let after = desired(&[first, then].concat());
        let mut observed = Observed {
            node_addresses: NODE_ADDRESSES.map(|text| text.parse().unwrap()).into(),
            ..Observed::default()
        };
        let mut ledger = Ledger::new(MarkRange::default());
        for step in set_steps(&ledger, &observed) {
            observed.record(&step.op);
        }
        let nothing = DesiredState::new();
        for (from, to) in [(&nothing, &before), (&before, &after)] {
            let change = Change { from, to, bound: observed.routes.keys().copied().collect() };
            let touched = change.touch(&mut ledger);
            let steps = plan(&touched, &ledger, &observed, &NodePlan::default());
            prop_assert_eq!(&portioned(&touched, &ledger, observed.clone()), &steps);
            for step in steps {
                observed.record(&step.op);
                for key in change.keys() {
                    if let Err(what) = change.check(&key, &observed) {
                        let op = &step.op;
                        prop_assert!(false, "{key}, after {op}: {what}\nfrom {:?}\nto {:?}", from.get(&key), to.get(&key));
                    }
                }
            }
        }
    }
}

/// What is planned while it is carried out, a few ops at a time.
fn portioned(touched: &Touched, ledger: &Ledger, mut observed: Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in Part::ALL {
        let mut agenda = Agenda::new(part, touched, ledger, &observed, &NodePlan::default());
        while let Some(next) = agenda.next(1, ledger, &observed) {
            next.iter().for_each(|step| observed.record(&step.op));
            steps.extend(next);
        }
    }
    steps
}

struct Change<'a> {
    from: &'a DesiredState,
    to: &'a DesiredState,
    /// Addresses that were bound before.
    bound: BTreeSet<IpAddr>,
}

impl Change<'_> {
    fn touch(&self, ledger: &mut Ledger) -> Touched {
        let Delta { upserts, removals } = Delta::between(self.from, self.to);
        let mut touched = Touched::default();
        upserts.iter().for_each(|server| ledger.set(server, &mut touched));
        removals.iter().for_each(|key| ledger.remove(key, &mut touched));
        touched
    }

    fn keys(&self) -> BTreeSet<VirtualServerKey> {
        self.from.iter().chain(self.to.iter()).map(|server| server.key).collect()
    }

    fn check(&self, key: &VirtualServerKey, observed: &Observed) -> Result<(), &'static str> {
        let servers = [self.from.get(key), self.to.get(key)];
        let servers = servers.map(|server| server.map(|server| &**server));
        is_known_for_ours(key, observed)?;
        attracts_nothing_in_vain(key, servers, observed, self)?;
        keeps_a_server(&service_id(key), servers.map(external), observed)?;
        if let Some(mark) = mark_of(key, observed) {
            keeps_a_server(&internal_service_id(key, mark), servers.map(internal), observed)?;
        }
        masquerades_who_needs_it(key, servers, observed)?;
        admits_who_may(key, servers, observed)
    }
}

type Servers<'a> = [Option<&'a VirtualServer>; 2];

fn is_known_for_ours(key: &VirtualServerKey, observed: &Observed) -> Result<(), &'static str> {
    let id = service_id(key);
    let is_there = observed.services.contains_key(&id);
    let known = Ownership::default().owns(&id, observed);
    if is_there && !known { Err("nobody can tell whose the service is") } else { Ok(()) }
}

/// An address that was not bound before is bound when everything behind it works, and goes before
/// its services do.
fn attracts_nothing_in_vain(
    key: &VirtualServerKey,
    [from, to]: Servers<'_>,
    observed: &Observed,
    change: &Change<'_>,
) -> Result<(), &'static str> {
    if !observed.routes.contains_key(&key.address) {
        return Ok(());
    }
    let of_address = || change.to.iter().filter(|it| it.key.address == key.address);
    let Some(to) = to else {
        let is_there = observed.services.contains_key(&service_id(key));
        let is_wanted = of_address().any(|it| it.vip == Vip::Bind);
        let is_in_vain = from.is_some() && !is_there && !is_wanted;
        return if is_in_vain { Err("the address outlives its service") } else { Ok(()) };
    };
    // An address that others have too, and had before, attracts their packets all the same; and
    // one with an urgent and a common service is bound with the first.
    let is_uniform = of_address().all(|it| it.priority == to.priority);
    if from.is_some() || change.bound.contains(&key.address) || !is_uniform {
        return Ok(());
    }
    let usable = usable(&service_id(key), observed).ok_or("bound, and there is no service")?;
    if !ids(&to.external).is_subset(&usable) {
        return Err("bound, and a server is missing");
    }
    let is_there = |object: Shared| match object {
        Shared::Member(set, entry) => observed.has_member(set, &entry),
        Shared::Vip(_) => true,
    };
    if shared(to).into_iter().all(is_there) { Ok(()) } else { Err("bound without a member") }
}

/// A service that has servers before and after is never without, and no old one goes before every
/// new one is there.
fn keeps_a_server(
    id: &ServiceId,
    pools: [Option<&Pool>; 2],
    observed: &Observed,
) -> Result<(), &'static str> {
    let [Some(from), Some(to)] = pools.map(|pool| pool.map(ids)) else { return Ok(()) };
    let usable = usable(id, observed).ok_or("there is no service")?;
    if from.is_empty() || to.is_empty() {
        return Ok(());
    }
    if usable.is_empty() {
        return Err("it has no server left");
    }
    let has_lost_one = !from.difference(&to).all(|old| usable.contains(old));
    if has_lost_one && !to.is_subset(&usable) {
        return Err("an old server went before every new one was there");
    }
    Ok(())
}

/// Servers on other nodes never get packets whose replies would not come back through here.
fn masquerades_who_needs_it(
    key: &VirtualServerKey,
    servers: Servers<'_>,
    observed: &Observed,
) -> Result<(), &'static str> {
    let node_port = Entry::Port(key.port.get());
    let is_kept = Purpose::ALL.iter().filter(|purpose| purpose.keeps_source()).any(|&purpose| {
        let set = SetId { purpose, family: key.family() };
        let is_of_node = NODE_ADDRESSES.iter().any(|text| *text == key.address.to_string());
        let is_its_port = is_of_node && purpose == local_node_port(key);
        observed.has_member(set, &frontend(key))
            || (is_its_port && observed.has_member(set, &node_port))
    });
    let local: BTreeSet<_> = servers
        .into_iter()
        .flatten()
        .flat_map(VirtualServer::real_servers)
        .filter(|real| real.locality == Locality::Local)
        .map(|real| DestinationId { address: real.address, port: real.port.get() })
        .collect();
    let usable = usable(&service_id(key), observed).unwrap_or_default();
    if is_kept && !usable.is_subset(&local) {
        return Err("a client's address is kept on the way to another node");
    }
    Ok(())
}

fn local_node_port(key: &VirtualServerKey) -> Purpose {
    let is_it = |it: &&Purpose| it.masqueraded() == Some(Purpose::node_port(key.protocol));
    *Purpose::ALL.iter().find(is_it).expect("each protocol has one")
}

/// Nobody gets in who may not before and after, and nobody is kept out who may.
fn admits_who_may(
    key: &VirtualServerKey,
    [from, to]: Servers<'_>,
    observed: &Observed,
) -> Result<(), &'static str> {
    let set = |purpose| SetId { purpose, family: key.family() };
    let ranges = [from, to].map(|server| match &server?.admission {
        Admission::Anyone => None,
        Admission::Only(ranges) => Some(ranges.iter().copied().collect::<BTreeSet<_>>()),
    });
    let is_guarded = observed.has_member(set(Purpose::LoadBalancerFirewall), &frontend(key));
    let must_be = ranges[0].is_some() && (to.is_none() || ranges[1].is_some())
        || ranges[1].is_some() && from.is_none();
    if must_be && !is_guarded && observed.services.contains_key(&service_id(key)) {
        return Err("it is open to everybody");
    }
    let admitted = match ranges {
        [Some(from), Some(to)] => from.intersection(&to).copied().collect(),
        [one, other] => one.or(other).unwrap_or_default(),
    };
    let VirtualServerKey { address, protocol, port } = *key;
    let is_admitted = |range: ipnet::IpNet| {
        let entry = Entry::IpPortNet { address, protocol, port: port.get(), network: range.into() };
        observed.has_member(set(Purpose::LoadBalancerSource), &entry)
    };
    if is_guarded && !admitted.into_iter().all(is_admitted) {
        return Err("somebody is kept out");
    }
    Ok(())
}

fn external(server: Option<&VirtualServer>) -> Option<&Pool> {
    Some(&server?.external)
}

/// Of a server whose inside clients have servers of their own.
fn internal(server: Option<&VirtualServer>) -> Option<&Pool> {
    server.filter(|server| server.split()).map(|server| &server.internal)
}

fn ids(pool: &Pool) -> BTreeSet<DestinationId> {
    let id = |real: &proxy_core::RealServer| DestinationId {
        address: real.address,
        port: real.port.get(),
    };
    pool.servers.iter().map(id).collect()
}

/// Destinations that take new connections; `None` if there is no such service.
fn usable(id: &ServiceId, observed: &Observed) -> Option<BTreeSet<DestinationId>> {
    let found = &observed.services.get(id)?.destinations;
    Some(found.iter().filter(|it| it.weight > 0).map(|it| it.id()).collect())
}

fn mark_of(key: &VirtualServerKey, observed: &Observed) -> Option<u32> {
    let set = SetId { purpose: Purpose::InternalMark, family: key.family() };
    *observed.sets.get(&set)?.members.get(&frontend(key))?
}

fn frontend(key: &VirtualServerKey) -> Entry {
    let VirtualServerKey { address, protocol, port } = *key;
    Entry::IpPort { address, protocol, port: port.get() }
}
