//! The ways back: of whoever has only an assignment, and of a rollout, which knows where it came from.

use super::{Assignment, AssignmentError, Partner, PartnerRole, sum};
use crate::model::name::Name;
use crate::model::weight::Weight;

impl Assignment {
    /// Back to the environment that was active before the rollout: takes the candidate's share back, or
    /// after a switch gives the slot to the previous environment. Not an undo of the last change.
    ///
    /// # Errors
    /// When neither a candidate has traffic nor a previous environment is armed.
    pub fn roll_back(&self) -> Result<Self, AssignmentError> {
        let nothing = || AssignmentError::NothingToRollBack(self.active.clone());
        let partner = self.partner.as_ref().ok_or_else(nothing)?;
        let next = match partner.role {
            PartnerRole::Candidate if self.weight(&partner.environment).is_zero() => {
                return Err(nothing());
            }
            PartnerRole::Candidate => self.switch(&self.active)?,
            PartnerRole::Previous => self.switch(&partner.environment)?,
        };
        Ok(next.rolled_back())
    }

    /// The same once everything has gone back: what it went back from is a candidate, and not armed. Nobody moves.
    #[must_use]
    pub fn rolled_back(mut self) -> Self {
        if let Some(partner) = &mut self.partner {
            partner.role = PartnerRole::Candidate;
        }
        self
    }

    /// Everything that `from` has goes to `to`, which is active again; if another one is, what is in its slot
    /// goes along. `from` stays, as a candidate with nothing. Other environments keep theirs.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn give_back(&self, from: &Name, to: &Name) -> Result<Self, AssignmentError> {
        self.known(from)?;
        let mut next = self.clone();
        let is_slot = |name: &Name| *name == self.active || self.is_partner(name);
        let leaves = |name: &Name| name == from || (self.active != *to && is_slot(name));
        let leaving = next.members.iter_mut().filter(|m| m.environment != *to);
        let mut given = Weight::ZERO;
        for member in leaving.filter(|member| leaves(&member.environment)) {
            given = sum(given, std::mem::replace(&mut member.weight, Weight::ZERO));
        }
        let back = next.member_mut(to)?;
        back.weight = sum(back.weight, given);
        next.active = to.clone();
        // A partner that has users keeps its place: they would move with their slot.
        let partner = next.partner.as_ref().map(|partner| &partner.environment);
        if partner.is_none_or(|partner| partner == to || next.weight(partner).is_zero()) {
            let environment = from.clone();
            let candidate = Partner { environment, role: PartnerRole::Candidate };
            next.partner = (from != to).then_some(candidate);
        }
        // What was left is not armed: a second rollback would go there.
        Ok(next.rolled_back())
    }

    /// Everything that `from` has goes to whoever is active. Roles stay.
    ///
    /// # Errors
    /// When it is unknown.
    pub fn leave(&self, from: &Name) -> Result<Self, AssignmentError> {
        let mut next = self.clone();
        let given = std::mem::replace(&mut next.member_mut(from)?.weight, Weight::ZERO);
        let active = next.member_mut(&self.active)?;
        active.weight = sum(active.weight, given);
        Ok(next)
    }

    /// An environment without traffic is armed for rollback no more. Nobody moves.
    ///
    /// # Errors
    /// When it has traffic: with its place in the slot its users would move.
    pub fn disarm(&self, name: &Name) -> Result<Self, AssignmentError> {
        let weight = self.weight(name);
        if !weight.is_zero() {
            return Err(AssignmentError::InUse {
                name: name.clone(),
                reason: format!("has {weight} % of the traffic"),
                remedy: "set it to 0 first: cyan weights",
            });
        }
        let mut next = self.clone();
        let is_armed = |p: &Partner| p.environment == *name && p.role == PartnerRole::Previous;
        next.partner = next.partner.filter(|partner| !is_armed(partner));
        Ok(next)
    }
}
