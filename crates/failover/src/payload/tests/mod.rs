mod crashes;
mod tables;
mod world;
