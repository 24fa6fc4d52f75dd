"""The door for alerts: who sent it, keep it, understand it, hand it to the incidents."""
