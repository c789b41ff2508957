use shared::{
    config::BreakerOverride,
    status::{AdminState, BreakerState, EffectiveState, Health},
};

/// What an endpoint's effective state follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    pub(super) admin: AdminState,
    pub(super) health: Health,
    /// Whether an endpoint is used before its first check has ended.
    pub(super) assumes_health: bool,
    /// Whether all endpoints of the upstream fail their checks and are used all the same.
    pub(super) panics: bool,
    pub(super) breaker: BreakerState,
    pub(super) forced: BreakerOverride,
}

/// Which input an effective state follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decides {
    Admin,
    Health,
    Breaker,
    /// Nothing stands against it.
    Nothing,
}

impl Inputs {
    /// The table of precedence: the first row that holds. `docs/health.md` has it, too.
    pub(super) fn effective(&self) -> (EffectiveState, Decides) {
        let fails = match self.health {
            Health::Unhealthy => true,
            Health::Pending => !self.assumes_health,
            Health::Unchecked | Health::Healthy => false,
        };
        let breaker = match self.forced {
            BreakerOverride::ForceClosed => BreakerState::Closed,
            BreakerOverride::Auto | BreakerOverride::ForceOpen => self.breaker,
        };
        if self.admin == AdminState::Disabled {
            (EffectiveState::Disabled, Decides::Admin)
        } else if self.forced == BreakerOverride::ForceOpen {
            (EffectiveState::BreakerOpen, Decides::Breaker)
        } else if fails && !self.panics {
            (EffectiveState::Unhealthy, Decides::Health)
        } else if breaker == BreakerState::Open {
            (EffectiveState::BreakerOpen, Decides::Breaker)
        } else if self.admin == AdminState::Draining {
            (EffectiveState::Draining, Decides::Admin)
        } else if breaker == BreakerState::HalfOpen {
            (EffectiveState::Probing, Decides::Breaker)
        } else if fails {
            (EffectiveState::Panic, Decides::Health)
        } else {
            (EffectiveState::Serving, Decides::Nothing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All combinations, each against the rows of the table in the documentation, read from above.
    #[test]
    fn every_combination_has_the_state_of_its_row() {
        use BreakerOverride::{Auto, ForceClosed, ForceOpen};
        use BreakerState::{Closed, HalfOpen, Open};
        use EffectiveState as E;
        let admins = [AdminState::Active, AdminState::Draining, AdminState::Disabled];
        let healths = [
            (Health::Unchecked, false),
            (Health::Pending, true),
            (Health::Pending, false),
            (Health::Healthy, false),
            (Health::Unhealthy, false),
        ];
        let mut combinations = 0;
        for admin in admins {
            for (health, assumes_health) in healths {
                for panics in [false, true] {
                    for breaker in [Closed, Open, HalfOpen] {
                        for forced in [Auto, ForceOpen, ForceClosed] {
                            let is_down =
                                matches!((health, assumes_health), (Health::Unhealthy, _) | (Health::Pending, false));
                            let row = match (admin, forced, is_down, panics, breaker) {
                                (AdminState::Disabled, ..) => E::Disabled,
                                (_, ForceOpen, ..) => E::BreakerOpen,
                                (_, _, true, false, _) => E::Unhealthy,
                                (_, Auto, _, _, Open) => E::BreakerOpen,
                                (AdminState::Draining, ..) => E::Draining,
                                (AdminState::Active, Auto, _, _, HalfOpen) => E::Probing,
                                (AdminState::Active, _, true, true, _) => E::Panic,
                                (AdminState::Active, _, false, _, _) => E::Serving,
                            };
                            let inputs = Inputs { admin, health, assumes_health, panics, breaker, forced };
                            assert_eq!(inputs.effective().0, row, "{inputs:?}");
                            combinations += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(combinations, 3 * 5 * 2 * 3 * 3);
    }
}
