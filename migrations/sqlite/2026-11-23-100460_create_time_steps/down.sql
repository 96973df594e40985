DROP TABLE time_steps;
