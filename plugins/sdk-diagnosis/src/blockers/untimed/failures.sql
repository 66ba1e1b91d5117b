-- Calls that failed, by program: Penguin records neither times nor which process it was. Numbers of
-- errors differ between architectures, so those that matter are told by their names.
WITH failed AS MATERIALIZED (
  SELECT e.procname AS program, s.name AS name,
    CASE WHEN s.retno_repr LIKE 'EADDRNOTAVAIL%' THEN -99
      WHEN s.retno_repr LIKE 'ECONNREFUSED%' THEN -111 ELSE s.retno END AS retno,
    s.arg0_repr AS a0, s.arg1_repr AS a1, s.arg3_repr AS a3,
    CASE WHEN s.name LIKE 'sys_open%' OR s.name = 'sys_ioctl' THEN s.arg2_repr ELSE '' END AS a2,
    count(*) AS times, max(s.id) AS newest
  FROM syscall AS s JOIN event AS e USING (id)
  WHERE s.retno BETWEEN -4095 AND -1
  GROUP BY e.procname, s.name, s.retno, s.arg0_repr, s.arg1_repr, a2
), named AS MATERIALIZED (
  SELECT *, replace(path, rtrim(path, replace(path, '/', '')), '') AS base
  FROM (SELECT *, coalesce(guest_path(a0, a1, a2, a3), '') AS path FROM failed)
), succeeded AS MATERIALIZED (
  SELECT DISTINCT e.procname AS program, coalesce(guest_path(s.arg0_repr, s.arg1_repr), '') AS path
  FROM syscall AS s JOIN event AS e USING (id)
  WHERE s.retno >= 0 OR s.retno < -4095
), found AS MATERIALIZED (
  SELECT program, replace(path, rtrim(path, replace(path, '/', '')), '') AS base FROM succeeded
)
SELECT program, name, retno, path, sum(times), max(newest),
  (program, base) IN (SELECT program, base FROM found WHERE base <> ''), a0, a1, max(a2)
FROM named
GROUP BY program, name, retno, path, CASE WHEN path = '' THEN a0 || a1 ELSE '' END
ORDER BY max(newest) DESC
