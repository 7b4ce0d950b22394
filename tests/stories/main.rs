//! The acceptance stories, through the real programs.

mod a_investor;
