//! The way of a packet through the kernel's hooks, in the order of their priorities
//! (`include/uapi/linux/netfilter_ipv4.h`, `net/netfilter/ipvs/ip_vs_core.c`): mangle, nat, filter
//! and then IPVS on the way in; mangle, nat, IPVS, filter on the way out.

use std::net::SocketAddr;

use proxy_core::TrafficPolicy;

use super::condition::Flow;
use super::field::fields;
use super::{
    Branch, Client, DataPlane, Event, Explanation, Field, Hook, Packet, Refusal, Source, Step,
    Stop, Verdict,
};
use crate::netlink::ipset::Entry;
use crate::netlink::ipvs::{Destination, ServiceFlags, ServiceId};
use crate::observe::{Observed, ObservedService};
use crate::rules::{Jump, Match, Place, Rule, Rules, Side, Table, Target, static_rules};
use crate::set::{Purpose, SetId};

/// The way of `packet` where `plane` decides.
pub(super) fn walk(packet: &Packet, plane: &DataPlane) -> Explanation {
    let rules = static_rules(packet.family(), &plane.rules);
    let flow = flow(packet, plane);
    let source = flow.source;
    let mut walk = Walk {
        plane,
        rules: &rules,
        flow,
        is_masqueraded: false,
        marked_for: Vec::new(),
        steps: Vec::new(),
    };
    let verdict = match packet.client {
        Client::ThisNode => walk.leave(),
        Client::Other { .. } => walk.arrive(),
    };
    let verdict = verdict.unwrap_or_else(|stop| match stop {
        Stop::Refused(refusal) => Verdict::Refused(refusal),
        Stop::Dropped => Verdict::Dropped,
    });
    Explanation { source, steps: walk.steps, verdict }
}

/// The services that `packet` may come to: by its destination, that of every port included, and by
/// the mark that it may get.
pub(super) fn services(packet: &Packet, held: &Observed) -> Vec<ServiceId> {
    let Packet { protocol, destination, .. } = *packet;
    let (address, family) = (destination.ip(), packet.family());
    let by_port = |port| ServiceId::Address { protocol, address, port };
    let set = SetId { purpose: Purpose::InternalMark, family };
    let entry = Entry::IpPort { address, protocol, port: destination.port() };
    let mark = held.sets.get(&set).and_then(|set| set.members.get(&entry).copied().flatten());
    let by_mark = mark.map(|mark| ServiceId::Fwmark { family, mark });
    by_mark.into_iter().chain([by_port(destination.port()), by_port(0)]).collect()
}

fn flow(packet: &Packet, plane: &DataPlane) -> Flow {
    let (source, interface) = match &packet.client {
        Client::Other { address, interface } => (Some(*address), interface.clone()),
        Client::ThisNode => (source_to(packet.destination, plane), None),
    };
    Flow {
        protocol: packet.protocol,
        source,
        interface,
        destination: packet.destination,
        is_translated: false,
        mark: 0,
    }
}

/// The source address of this node's own packets: what the route says, or the address itself that
/// they are for where it is local and the route says nothing.
fn source_to(destination: SocketAddr, plane: &DataPlane) -> Option<std::net::IpAddr> {
    let address = destination.ip();
    let by_route = plane.held.routes.get(&address).and_then(|route| route.preferred_source);
    let itself = plane.is_local(address).then_some(address);
    by_route.or(itself).or_else(|| plane.ips.of(proxy_core::Family::of(address)))
}

/// A packet on its way, and what happened to it so far.
#[derive(Clone)]
struct Walk<'a> {
    plane: &'a DataPlane,
    rules: &'a Rules,
    flow: Flow,
    is_masqueraded: bool,
    /// Why it was marked to be masqueraded.
    marked_for: Vec<Field>,
    steps: Vec<Step>,
}

/// Whether the chains of a table that come later are asked too.
#[derive(PartialEq)]
enum Next {
    Asked,
    Passed,
}

impl Walk<'_> {
    /// It came in from another host or a pod.
    fn arrive(&mut self) -> Result<Verdict, Stop> {
        self.table(Hook::Prerouting, Table::Mangle)?;
        self.table(Hook::Prerouting, Table::Nat)?;
        if !self.route(Hook::Prerouting) {
            self.table(Hook::Forward, Table::Filter)?;
            self.table(Hook::Postrouting, Table::Nat)?;
            return Ok(Verdict::Routed { source: self.source() });
        }
        self.table(Hook::Input, Table::Filter)?;
        let Some(servers) = self.balance(Hook::Input)? else { return Ok(Verdict::Local) };
        Ok(self.branches(&servers, |walk| {
            if walk.plane.is_local(walk.flow.destination.ip()) {
                // It is where it should be already.
                return Ok(());
            }
            walk.table(Hook::Output, Table::Mangle)?;
            walk.table(Hook::Postrouting, Table::Nat)
        }))
    }

    /// It was made by this node.
    fn leave(&mut self) -> Result<Verdict, Stop> {
        self.table(Hook::Output, Table::Mangle)?;
        self.table(Hook::Output, Table::Nat)?;
        if let Some(servers) = self.balance(Hook::Output)? {
            return Ok(self.branches(&servers, |walk| {
                if walk.plane.is_local(walk.flow.destination.ip()) {
                    return walk.loop_back();
                }
                // IPVS sends it anew.
                walk.table(Hook::Output, Table::Mangle)?;
                walk.table(Hook::Postrouting, Table::Nat)
            }));
        }
        if self.route(Hook::Output) {
            self.loop_back()?;
            return Ok(Verdict::Local);
        }
        self.table(Hook::Postrouting, Table::Nat)?;
        Ok(Verdict::Routed { source: self.source() })
    }

    /// It leaves by the loopback device and comes in there. Nothing is translated a second time.
    fn loop_back(&mut self) -> Result<(), Stop> {
        self.table(Hook::Postrouting, Table::Nat)?;
        self.flow.interface = Some("lo".to_owned());
        self.table(Hook::Prerouting, Table::Mangle)?;
        self.table(Hook::Input, Table::Filter)
    }

    /// Whether it is for this node.
    fn route(&mut self, hook: Hook) -> bool {
        let owner = self.plane.owner(self.flow.destination.ip());
        self.note(hook, Event::Route(owner), Vec::new());
        self.plane.is_local(self.flow.destination.ip())
    }

    /// IPVS looks for a service: by the mark, then by the destination. The servers that take new
    /// connections; none if there is no service.
    fn balance(&mut self, hook: Hook) -> Result<Option<Vec<Destination>>, Stop> {
        let Some(ObservedService { service, destinations }) = self.service() else {
            return Ok(None);
        };
        let (service, servers) = (*service, destinations.iter().collect::<Vec<_>>());
        let takes_new = |server: &&Destination| server.weight > 0;
        let candidates: Vec<_> = servers.iter().filter(takes_new).copied().collect();
        let mut fields = Vec::new();
        if let ServiceId::Fwmark { .. } = service.id {
            fields.push(Field::ExternalPolicy(TrafficPolicy::Local));
        }
        if service.flags.contains(ServiceFlags::PERSISTENT) {
            fields.push(Field::SessionAffinity);
        }
        if candidates.is_empty() {
            fields.push(Field::Endpoints);
        }
        self.note(hook, Event::Balance { service, servers }, fields);
        if candidates.is_empty() {
            return Err(Stop::Refused(Refusal::Unreachable));
        }
        Ok(Some(candidates))
    }

    fn service(&self) -> Option<&ObservedService> {
        let Flow { protocol, destination, mark, .. } = self.flow;
        let address = destination.ip();
        let by_port = |port| ServiceId::Address { protocol, address, port };
        let by_mark = ServiceId::Fwmark { family: self.flow.family(), mark };
        let services = &self.plane.held.services;
        let marked = services.get(&by_mark).filter(|_| mark != 0);
        marked
            .or_else(|| services.get(&by_port(destination.port())))
            .or_else(|| services.get(&by_port(0)))
    }

    /// What becomes of it on its way to each of `servers`.
    fn branches(
        &self,
        servers: &[Destination],
        go: impl Fn(&mut Self) -> Result<(), Stop>,
    ) -> Verdict {
        let branch = |server: &Destination| {
            let mut walk = Self { steps: Vec::new(), ..self.clone() };
            walk.flow.destination = SocketAddr::new(server.address, server.port);
            let end = go(&mut walk).map(|()| walk.source());
            Branch { server: *server, steps: walk.steps, end }
        };
        Verdict::Balanced(servers.iter().map(branch).collect())
    }

    const fn source(&self) -> Source {
        if self.is_masqueraded { Source::Masqueraded } else { Source::Kept(self.flow.source) }
    }

    /// Our chains of a table, in the order in which the kernel's chain there leads to them.
    fn table(&mut self, hook: Hook, table: Table) -> Result<(), Stop> {
        let rules = self.rules;
        let of = |place| {
            let is_there = move |jump: &&Jump| {
                (jump.table, jump.from, jump.place) == (table, hook.chain(), place)
            };
            rules.jumps.iter().filter(is_there)
        };
        for jump in of(Place::Head).rev().chain(of(Place::Tail)) {
            let Target::Jump(chain) = jump.rule.target else { continue };
            if self.matches(&jump.rule) && self.chain(hook, table, chain, &[])? == Next::Passed {
                break;
            }
        }
        Ok(())
    }

    fn matches(&self, rule: &Rule) -> bool {
        rule.matches.iter().all(|condition| self.flow.meets(condition, self.plane))
    }

    /// The rules of a chain, for which a rule with `fields` was the reason.
    fn chain(
        &mut self,
        hook: Hook,
        table: Table,
        name: &'static str,
        caller: &[Field],
    ) -> Result<Next, Stop> {
        let rules = self.rules;
        let chain = rules.chains.iter().find(|chain| (chain.table, chain.name) == (table, name));
        for rule in chain.into_iter().flat_map(|chain| &chain.rules) {
            if !self.matches(rule) {
                continue;
            }
            let entries = self.entries(rule);
            if matches!(rule.target, Target::MarkFromSet(_)) && entries.is_empty() {
                continue;
            }
            let mut fields = fields(name, rule);
            if fields.is_empty() {
                fields = caller.to_vec();
            }
            self.take_effect(rule.target, &mut fields);
            let event = Event::Rule { table, chain: name, rule: rule.clone(), entries };
            self.note(hook, event, fields.clone());
            match rule.target {
                Target::Return => return Ok(Next::Asked),
                Target::Drop => return Err(Stop::Dropped),
                Target::Reject(_) => return Err(Stop::Refused(Refusal::Unreachable)),
                Target::Reset => return Err(Stop::Refused(Refusal::Reset)),
                Target::Accept
                | Target::ToPort(_)
                | Target::Masquerade
                | Target::MasqueradeRandom => return Ok(Next::Passed),
                Target::Jump(other) => {
                    if self.chain(hook, table, other, &fields)? == Next::Passed {
                        return Ok(Next::Passed);
                    }
                }
                Target::Mark(_) | Target::FlipMark(_) | Target::MarkFromSet(_) => {}
            }
        }
        Ok(Next::Asked)
    }

    /// What a rule changes about the packet. One that masquerades a marked packet does so for what
    /// it was marked for.
    fn take_effect(&mut self, target: Target, fields: &mut Vec<Field>) {
        match target {
            Target::Mark(bits) => {
                self.flow.mark |= bits;
                self.marked_for.clone_from(fields);
            }
            Target::FlipMark(bits) => self.flow.mark ^= bits,
            Target::MarkFromSet(set) => {
                let member = self.flow.member(set, BOTH, self.plane);
                let members = self.plane.held.sets.get(&set).map(|set| &set.members);
                let mark = member.zip(members).and_then(|(entry, of)| of.get(&entry).copied());
                self.flow.mark = mark.flatten().unwrap_or(self.flow.mark);
            }
            Target::ToPort(port) => {
                self.flow.destination.set_port(port);
                self.flow.is_translated = true;
            }
            Target::Masquerade | Target::MasqueradeRandom => {
                self.is_masqueraded = true;
                if fields.is_empty() {
                    fields.clone_from(&self.marked_for);
                }
            }
            Target::Jump(_)
            | Target::Return
            | Target::Accept
            | Target::Drop
            | Target::Reject(_)
            | Target::Reset => {}
        }
    }

    /// The members that the packet is, of the sets that a rule asks.
    fn entries(&self, rule: &Rule) -> Vec<(SetId, Entry)> {
        let asked = rule.matches.iter().filter_map(|condition| match condition {
            Match::InSet(set, sides) => Some((*set, *sides)),
            _ => None,
        });
        let marking = match rule.target {
            Target::MarkFromSet(set) => Some((set, BOTH)),
            _ => None,
        };
        let found = |(set, sides)| Some((set, self.flow.member(set, sides, self.plane)?));
        asked.chain(marking).filter_map(found).collect()
    }

    fn note(&mut self, hook: Hook, event: Event, fields: Vec<Field>) {
        self.steps.push(Step { hook, event, mark: self.flow.mark, fields });
    }
}

/// The destination's address and port.
const BOTH: &[Side] = &[Side::Destination, Side::Destination];
